"""Upload a verified bundle to the Hugging Face Hub, in one commit."""

from pathlib import Path

from minilm.distribution.verified import expect_verified
from minilm.runtime.errors import BackendUnavailable, SourceError, UsageError
from minilm.runtime.integrity import check
from minilm.runtime.manifest import MANIFEST_NAME, read

__all__ = ["push"]


def push(bundle: Path, repository: str, *, private: bool = False, message: str = "") -> str:
    """Upload what the manifest lists, and the manifest; the model card becomes the repository's.

    Files that the repository has beside these stay. The token is the one of `hf auth login`, or the
    environment variable HF_TOKEN.

    Args:
        bundle: Directory of the bundle.
        repository: Name on the Hub, "ORG/NAME"; made if it does not exist.
        private: Whether a repository that is made is private.
        message: Of the commit; by default the model and the toolkit's version.

    Returns:
        The commit, as 40 hexadecimal digits.

    Raises:
        InvalidArtifact: The bundle is damaged, or was not verified.
        GateFailed: The bundle failed its verification.
        UsageError: `repository` is no name on the Hub.
        BackendUnavailable: huggingface_hub is not installed.
        SourceError: The Hub refused, or is out of reach.
    """
    manifest = read(bundle)
    expect_verified(bundle)
    check(bundle, manifest, "full")
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise BackendUnavailable(
            "an upload needs huggingface_hub: pip install huggingface_hub"
        ) from error
    version = manifest.toolchain.get("minilm-toolkit", "")
    hub = HfApi()
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=bundle,
            allow_patterns=[MANIFEST_NAME, *(entry.path for entry in manifest.files)],
            commit_message=message or f"{manifest.model.id}, built by minilm-toolkit {version}",
        )
    except HFValidationError as error:
        raise UsageError(f"{repository!r} is no name on the Hub: expected ORG/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no"
        raise SourceError(
            f"the Hub refused to take {repository} (HTTP {status}): check the name and that the "
            "token may write to it (`hf auth login`, or HF_TOKEN)"
        ) from error
    except OSError as error:
        raise SourceError(f"the Hub is out of reach: {error}") from error
    return str(commit.oid)
