#include "weight_file.h"

#include <algorithm>
#include <utility>

#include "error.h"
#include "json.h"

namespace minilm {

namespace {

constexpr uint64_t kMaxHeader = 16 << 20;  // bytes

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "(";
    for (const int64_t extent : shape)
        text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
    return text + ")";
}

bool is_count(const Json& value) {
    return value.kind == Json::Kind::kNumber && value.number >= 0 && value.number <= 1e15 &&
           value.number == static_cast<double>(static_cast<int64_t>(value.number));
}

std::vector<int64_t> read_counts(const Json* value, const std::string& name, const char* field) {
    std::vector<int64_t> counts;
    bool valid = value && value->kind == Json::Kind::kArray;
    if (valid) {
        for (const Json& each : value->array) {
            valid = valid && is_count(each);
            counts.push_back(valid ? static_cast<int64_t>(each.number) : 0);
        }
    }
    if (!valid) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s has no valid %s", name.c_str(), field);
    }
    return counts;
}

Tensor read_tensor(const std::string& name, const Json& entry, const uint8_t* data, size_t size) {
    const Json* dtype = entry.find("dtype");
    if (!dtype || dtype->kind != Json::Kind::kString) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s has no dtype", name.c_str());
    }
    Tensor tensor{dtype->string, read_counts(entry.find("shape"), name, "shape"), nullptr, 0};
    const auto offsets = read_counts(entry.find("data_offsets"), name, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s has no valid data_offsets",
             name.c_str());
    }
    if (static_cast<uint64_t>(offsets[1]) > size) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: tensor %s ends at byte %lld of the data and there are %zu: the file is "
             "cut "
             "or altered",
             name.c_str(), static_cast<long long>(offsets[1]), size);
    }
    tensor.data = data + offsets[0];
    tensor.size = static_cast<size_t>(offsets[1] - offsets[0]);
    return tensor;
}

}  // namespace

WeightFile::WeightFile(const uint8_t* data, size_t size) {
    if (!data || size < 8) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: %zu bytes are too few for a safetensors file",
             size);
    }
    uint64_t header = 0;
    for (int i = 7; i >= 0; --i) header = header << 8 | data[i];
    if (header > kMaxHeader || header > size - 8) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: its header claims %llu bytes and the file has %zu: it is cut, or not a "
             "safetensors file",
             static_cast<unsigned long long>(header), size);
    }
    const auto* text = reinterpret_cast<const char*>(data + 8);
    const Json root = parse_json(text, static_cast<size_t>(header), "the weight file's header");
    if (root.kind != Json::Kind::kObject) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: its header is not a JSON object");
    }
    const uint8_t* first = data + 8 + header;
    const size_t data_size = size - 8 - static_cast<size_t>(header);
    size_t used = 0;
    for (const auto& [name, entry] : root.object) {
        if (name == "__metadata__") {
            for (const auto& [key, value] : entry.object) metadata_[key] = value.string;
            continue;
        }
        const Tensor tensor = read_tensor(name, entry, first, data_size);
        used += tensor.size;
        tensors_.emplace(name, tensor);
    }
    // Every tensor lies within the data; their sizes must add up to it.
    if (used != data_size) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: its tensors have %zu bytes and the data %zu",
             used, data_size);
    }
}

const std::string& WeightFile::metadata(const std::string& name) const {
    const auto found = metadata_.find(name);
    if (found == metadata_.end()) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: no entry %s in its metadata", name.c_str());
    }
    return found->second;
}

Tensor WeightFile::take(const std::string& name, const char* dtype,
                        const std::vector<int64_t>& shape) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s is missing", name.c_str());
    }
    const Tensor tensor = found->second;
    size_t expected = std::string(dtype) == "F32" ? 4 : 1;
    for (const int64_t extent : shape) expected *= static_cast<size_t>(extent);
    if (tensor.dtype != dtype || tensor.shape != shape || tensor.size != expected) {
        fail(MINILM_INVALID_WEIGHTS,
             "weight file: tensor %s is %s %s in %zu bytes, expected is %s %s in %zu", name.c_str(),
             tensor.dtype.c_str(), shape_text(tensor.shape).c_str(), tensor.size, dtype,
             shape_text(shape).c_str(), expected);
    }
    tensors_.erase(found);
    return tensor;
}

void WeightFile::check_all_taken() const {
    if (tensors_.empty()) return;
    fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s is not one that this architecture has",
         tensors_.begin()->first.c_str());
}

}  // namespace minilm
