// The C ABI: turns exceptions into a status and a text.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <string>

#include "cpu.h"
#include "encoder.h"
#include "error.h"

struct MinilmEncoder {
    std::shared_ptr<minilm::Encoder> encoder;
};

namespace {

void write_error(const char* message, char* error, size_t size) noexcept {
    if (!error || size == 0) return;
    const size_t length = std::min(std::strlen(message), size - 1);
    std::memcpy(error, message, length);
    error[length] = '\0';
}

template <class Function>
int32_t guard(char* error, size_t size, const Function& function) noexcept {
    try {
        function();
        return MINILM_OK;
    } catch (const minilm::Error& failure) {
        write_error(failure.message.c_str(), error, size);
        return failure.status;
    } catch (const std::bad_alloc&) {
        write_error("out of memory", error, size);
        return MINILM_OUT_OF_MEMORY;
    } catch (const std::exception& failure) {
        write_error(failure.what(), error, size);
        return MINILM_INTERNAL;
    } catch (...) {
        write_error("unknown exception", error, size);
        return MINILM_INTERNAL;
    }
}

}  // namespace

int32_t minilm_native_abi(void) { return MINILM_NATIVE_ABI; }

int32_t minilm_native_open(const void* data, size_t size, const char* kernel,
                           MinilmEncoder** encoder, char* error, size_t error_size) {
    return guard(error, error_size, [&] {
        if (!encoder) minilm::fail(MINILM_INVALID_ARGUMENT, "encoder is null");
        *encoder = nullptr;
        const auto* bytes = static_cast<const uint8_t*>(data);
        auto opened = std::make_shared<minilm::Encoder>(bytes, size, minilm::find_kernel(kernel));
        *encoder = new MinilmEncoder{std::move(opened)};
    });
}

int32_t minilm_native_encode(const MinilmEncoder* encoder, const int32_t* ids,
                             const int64_t* offsets, int64_t texts, int32_t threads, float* vectors,
                             char* error, size_t error_size) {
    return guard(error, error_size, [&] {
        if (!encoder) minilm::fail(MINILM_INVALID_ARGUMENT, "encoder is null");
        encoder->encoder->encode(ids, offsets, texts, threads, vectors);
    });
}

void minilm_native_close(MinilmEncoder* encoder) { delete encoder; }

int64_t minilm_native_dimension(const MinilmEncoder* encoder) {
    return encoder->encoder->model().architecture.dimension;
}

int64_t minilm_native_max_tokens(const MinilmEncoder* encoder) {
    return encoder->encoder->model().architecture.max_tokens;
}

const char* minilm_native_kernel(const MinilmEncoder* encoder) {
    return encoder->encoder->model().kernel.name;
}

const char* minilm_native_kernels(void) {
    static const std::string names = [] {
        std::string joined;
        for (const minilm::Kernel& kernel : minilm::available_kernels()) {
            joined += (joined.empty() ? "" : ",") + std::string(kernel.name);
        }
        return joined;
    }();
    return names.c_str();
}

int32_t minilm_native_peak(const char* kernel, double seconds, double* operations_per_second,
                           char* error, size_t error_size) {
    return guard(error, error_size, [&] {
        if (!operations_per_second)
            minilm::fail(MINILM_INVALID_ARGUMENT, "operations_per_second is null");
        const minilm::IntegerOps& ops = *minilm::find_kernel(kernel).integer;
        using Clock = std::chrono::steady_clock;
        const auto end = Clock::now() + std::chrono::duration<double>(seconds);
        *operations_per_second = 0;
        do {
            const auto start = Clock::now();
            const double operations = ops.spin(20000);
            const std::chrono::duration<double> spent = Clock::now() - start;
            *operations_per_second = std::max(*operations_per_second, operations / spent.count());
        } while (Clock::now() < end);
    });
}
