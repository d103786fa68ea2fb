#include "encoder.h"

#include <algorithm>
#include <cfenv>
#include <system_error>
#include <thread>

#include "error.h"
#include "forward.h"

namespace minilm {

namespace {

constexpr int kBlockRows = 256;  // tokens of a block: enough to use each panel of weights often
constexpr int kLeastRows = 48;   // fewer are not worth a block of their own
constexpr int kMaxThreads = 1024;
constexpr int kMaxTeam = 4;  // threads that share a block: more wait more than they work

// Rounding and subnormal numbers as the C standard has them, whatever the caller's thread uses:
// vectors must not depend on it.
class FloatEnvironment {
public:
    FloatEnvironment() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~FloatEnvironment() { std::fesetenv(&saved_); }

private:
    std::fenv_t saved_;
};

void check(const Architecture& a, const int32_t* ids, const int64_t* offsets, int64_t texts,
           int threads, const float* vectors) {
    if (threads < 1 || threads > kMaxThreads) {
        fail(MINILM_INVALID_ARGUMENT, "threads is %d, expected is 1 to %d", threads, kMaxThreads);
    }
    if (texts < 0 || texts > INT32_MAX) {
        fail(MINILM_INVALID_ARGUMENT, "%lld texts, expected is 0 to %d",
             static_cast<long long>(texts), INT32_MAX);
    }
    if (texts == 0) return;
    if (!ids || !offsets || !vectors)
        fail(MINILM_INVALID_ARGUMENT, "ids, offsets or vectors is null");
    if (offsets[0] != 0) {
        fail(MINILM_INVALID_ARGUMENT, "offsets begin with %lld, expected is 0",
             static_cast<long long>(offsets[0]));
    }
    for (int64_t text = 0; text < texts; ++text) {
        const int64_t tokens = offsets[text + 1] - offsets[text];
        if (offsets[text + 1] < offsets[text] || tokens < 1 || tokens > a.max_tokens) {
            fail(MINILM_INVALID_ARGUMENT, "text %lld has %lld tokens, expected is 1 to %d",
                 static_cast<long long>(text), static_cast<long long>(tokens), a.max_tokens);
        }
        for (int64_t at = offsets[text]; at < offsets[text + 1]; ++at) {
            if (ids[at] < 0 || ids[at] >= a.vocab_size) {
                fail(MINILM_INVALID_ARGUMENT,
                     "token %lld of text %lld has id %d, expected is 0 to %d",
                     static_cast<long long>(at - offsets[text]), static_cast<long long>(text),
                     ids[at], a.vocab_size - 1);
            }
        }
    }
}

// Cut texts into blocks of whole texts: large enough for the cache, and small enough that every
// thread has some. How does not change a text's vector.
std::vector<Block> plan_blocks(const int32_t* ids, const int64_t* offsets, int64_t texts,
                               int threads, float* vectors, int dimension) {
    const int64_t fair = offsets[texts] / (2 * static_cast<int64_t>(threads));
    const int64_t limit =
        threads == 1 ? kBlockRows : std::clamp<int64_t>(fair, kLeastRows, kBlockRows);
    std::vector<Block> blocks;
    int64_t first = 0;
    for (int64_t text = 1; text <= texts; ++text) {
        if (text < texts && offsets[text + 1] - offsets[first] <= limit) continue;
        const auto rows = static_cast<int>(offsets[text] - offsets[first]);
        blocks.push_back({ids, offsets + first, static_cast<int>(text - first), rows,
                          vectors + first * dimension});
        first = text;
    }
    return blocks;
}

WorkspaceSize size_of(const std::vector<Block>& blocks, int team) {
    WorkspaceSize size;
    size.team = team;
    for (const Block& block : blocks) {
        size.rows = std::max(size.rows, block.rows);
        for (int text = 0; text < block.texts; ++text) {
            const int64_t tokens = block.offsets[text + 1] - block.offsets[text];
            size.longest = std::max(size.longest, static_cast<int>(tokens));
        }
    }
    return size;
}

}  // namespace

// One call. Threads that the system has not run yet when the work is done find that out later, so
// what they look at is owned by all of them, and they touch nothing of the caller's.
class Encoder::Job {
public:
    Job(std::shared_ptr<const Encoder> encoder, std::vector<Block> blocks, int threads)
        : encoder_(std::move(encoder)), blocks_(std::move(blocks)) {
        const Model& model = encoder_->model_;
        const bool team = blocks_.size() == 1;  // its threads share every product
        threads_ = team ? std::min({threads, model.architecture.heads, kMaxTeam})
                        : static_cast<int>(std::min<size_t>(threads, blocks_.size()));
        phases_ = std::make_unique<Phases>(team ? count_phases(model, blocks_[0]) : 1);
        const WorkspaceSize size = size_of(blocks_, team ? threads_ : 1);
        for (int i = 0; i < (team ? 1 : threads_); ++i) {
            workspaces_.push_back(encoder_->pool_.take(model, size));
        }
    }

    ~Job() {
        for (auto& workspace : workspaces_) encoder_->pool_.give_back(std::move(workspace));
    }

    int threads() const { return threads_; }

    void work(int rank) {
        const FloatEnvironment environment;
        const Model& model = encoder_->model_;
        if (blocks_.size() == 1) {
            Phases* phases = threads_ > 1 ? phases_.get() : nullptr;
            return forward(model, blocks_[0], *workspaces_[0], phases, rank);
        }
        phases_->run(0, static_cast<int>(blocks_.size()), [&](int block) {
            forward(model, blocks_[block], *workspaces_[rank], nullptr, 0);
        });
    }

private:
    std::shared_ptr<const Encoder> encoder_;
    std::vector<Block> blocks_;
    int threads_;
    std::unique_ptr<Phases> phases_;
    std::vector<std::unique_ptr<Workspace>> workspaces_;
};

void Encoder::encode(const int32_t* ids, const int64_t* offsets, int64_t texts, int threads,
                     float* vectors) const {
    const Architecture& a = model_.architecture;
    check(a, ids, offsets, texts, threads, vectors);
    if (texts == 0) return;
    auto blocks = plan_blocks(ids, offsets, texts, threads, vectors, a.dimension);
    const auto job = std::make_shared<Job>(shared_from_this(), std::move(blocks), threads);
    try {
        for (int rank = 1; rank < job->threads(); ++rank) {
            std::thread([job, rank] { job->work(rank); }).detach();
        }
    } catch (const std::system_error&) {
        // The system has no more threads: those that there are do the work.
    }
    job->work(0);
}

}  // namespace minilm
