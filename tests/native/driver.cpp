// Runs the encoder without Python: on emulated processors, and on kernels that this one lacks.
//
//     driver WEIGHTS TEXTS VECTORS THREADS KERNEL...
//
// TEXTS holds int64 counts of texts and tokens, the offsets (int64) and the ids (int32). For each
// kernel the vectors are appended to VECTORS. With MINILM_EMULATED, amx and avx_vnni are there
// whatever the processor has (see emulated.h).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cpu.h"
#include "encoder.h"
#include "error.h"
#include "floats/tables.h"
#include "integer/tables.h"

namespace {

std::vector<uint8_t> read_file(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) std::exit(3);
    std::vector<uint8_t> content;
    uint8_t buffer[1 << 16];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) {
        content.insert(content.end(), buffer, buffer + n);
    }
    std::fclose(file);
    return content;
}

minilm::Kernel kernel_of(const std::string& name) {
#if defined(MINILM_EMULATED)
    if (name == "amx") return {"amx", &minilm::kIntegerAmx, &minilm::kFloatsAvx2};
    if (name == "avx_vnni") return {"avx_vnni", &minilm::kIntegerAvxVnni, &minilm::kFloatsAvx2};
#endif
    return minilm::find_kernel(name.c_str());
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 6) return 2;
    try {
        const auto weights = read_file(arguments[1]);
        const auto texts = read_file(arguments[2]);
        int64_t counts[2];
        std::memcpy(counts, texts.data(), sizeof counts);
        std::vector<int64_t> offsets(counts[0] + 1);
        std::vector<int32_t> ids(counts[1]);
        const uint8_t* at = texts.data() + sizeof counts;
        std::memcpy(offsets.data(), at, offsets.size() * 8);
        std::memcpy(ids.data(), at + offsets.size() * 8, ids.size() * 4);
        std::FILE* out = std::fopen(arguments[3], "wb");
        if (!out) return 3;
        for (int i = 5; i < count; ++i) {
            const auto encoder = std::make_shared<minilm::Encoder>(weights.data(), weights.size(),
                                                                   kernel_of(arguments[i]));
            std::vector<float> vectors(counts[0] * encoder->model().architecture.dimension);
            encoder->encode(ids.data(), offsets.data(), counts[0], std::atoi(arguments[4]),
                            vectors.data());
            std::fwrite(vectors.data(), sizeof(float), vectors.size(), out);
        }
        return std::fclose(out) ? 3 : 0;
    } catch (const minilm::Error& error) {
        std::fprintf(stderr, "%s\n", error.message.c_str());
        return 1;
    }
}
