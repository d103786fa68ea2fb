// A safetensors file in memory: its metadata, and its tensors by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace minilm {

struct Tensor {
    std::string dtype;  // "I8", "F32"
    std::vector<int64_t> shape;
    const uint8_t* data;
    size_t size;  // bytes
};

class WeightFile {
public:
    // Read the header. Keeps pointers into `data`. Throws Error (MINILM_INVALID_WEIGHTS).
    WeightFile(const uint8_t* data, size_t size);

    // The value of a metadata entry; throws if there is none.
    const std::string& metadata(const std::string& name) const;

    // A tensor of this dtype and shape, taken out of the file; throws if there is none.
    Tensor take(const std::string& name, const char* dtype, const std::vector<int64_t>& shape);

    // Throw if there is a tensor that nobody took.
    void check_all_taken() const;

private:
    std::map<std::string, std::string> metadata_;
    std::map<std::string, Tensor> tensors_;
};

}  // namespace minilm
