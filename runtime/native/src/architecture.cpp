#include "architecture.h"

#include "error.h"
#include "json.h"

namespace minilm {

namespace {

constexpr char kFormat[] = "minilm-native";
constexpr char kFormatVersion[] = "1";

const Json& field(const Json& object, const char* name) {
    const Json* found = object.find(name);
    if (!found) fail(MINILM_INVALID_WEIGHTS, "weight file: its architecture has no %s", name);
    return *found;
}

// An integer field from `least` to `most` that is a multiple of `divisor`.
int integer(const Json& object, const char* name, int least, int most, int divisor = 1) {
    const Json& value = field(object, name);
    const double number = value.number;
    if (value.kind != Json::Kind::kNumber || !(number >= least && number <= most) ||
        number != static_cast<int>(number) || static_cast<int>(number) % divisor) {
        fail(
            MINILM_INVALID_WEIGHTS,
            "weight file: %s of its architecture is %g, expected is a multiple of %d from %d to %d",
            name, number, divisor, least, most);
    }
    return static_cast<int>(number);
}

bool boolean(const Json& object, const char* name) {
    const Json& value = field(object, name);
    if (value.kind != Json::Kind::kBool) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: %s of its architecture is not true or false",
             name);
    }
    return value.boolean;
}

// Whether a field is the second of two words; throws if it is neither.
bool is_second(const Json& object, const char* name, const char* first, const char* second) {
    const std::string& value = field(object, name).string;
    if (value != first && value != second) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: %s of its architecture is \"%s\", supported is %s%s%s", name,
             value.c_str(), first, first == second ? "" : " or ", first == second ? "" : second);
    }
    return value == second;
}

int block(const Json& rotation, const char* name, int width) {
    const int size = integer(rotation, name, 1, 128);
    if ((size & (size - 1)) || (size > 1 && size < 16) || width % size) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: its rotation of %s has blocks of %d, expected is 1, or a power of two "
             "from "
             "16 to 128 that divides %d",
             name, size, width);
    }
    return size;
}

}  // namespace

Architecture read_architecture(const WeightFile& file) {
    const std::string& format = file.metadata("format");
    if (format != kFormat) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: its format is \"%s\", expected is \"%s\"",
             format.c_str(), kFormat);
    }
    const std::string& version = file.metadata("format_version");
    if (version != kFormatVersion) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: its format_version is \"%s\" and this library reads \"%s\": install the "
             "release of minilm-toolkit that wrote it",
             version.c_str(), kFormatVersion);
    }
    const std::string& text = file.metadata("architecture");
    const Json root = parse_json(text.data(), text.size(), "the weight file's architecture");
    Architecture result;
    result.layers = integer(root, "layers", 1, 256);
    result.dimension = integer(root, "dimension", 16, 8192, 16);
    result.heads = integer(root, "heads", 1, 512);
    if (result.dimension % (16 * result.heads)) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: its architecture has %d heads in %d elements, expected is a head of a "
             "multiple of 16 elements",
             result.heads, result.dimension);
    }
    result.intermediate = integer(root, "intermediate", 16, 32768, 16);
    result.vocab_size = integer(root, "vocab_size", 1, 1 << 24);
    result.positions = integer(root, "positions", 1, 8192);
    result.max_tokens = integer(root, "max_tokens", 1, result.positions);
    result.mean_pooling = is_second(root, "pooling", "cls", "mean");
    result.normalized = boolean(root, "normalized");
    is_second(root, "activation", "gelu", "gelu");
    const Json& epsilon = field(root, "layer_norm_eps");
    if (epsilon.kind != Json::Kind::kNumber || !(epsilon.number > 0 && epsilon.number < 1)) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: layer_norm_eps of its architecture is not within 0 to 1");
    }
    result.layer_norm_eps = static_cast<float>(epsilon.number);
    const Json& rotation = field(root, "rotation");
    result.query_key_value_block = block(rotation, "query_key_value", result.dimension);
    result.intermediate_block = block(rotation, "intermediate", result.dimension);
    result.output_block = block(rotation, "output", result.intermediate);
    return result;
}

}  // namespace minilm
