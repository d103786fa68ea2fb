// The library's own exception: a status of the C ABI and a text. It never leaves api.cpp.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string>

#include "minilm_native.h"

namespace minilm {

struct Error {
    MinilmStatus status;
    std::string message;
};

// Throw an Error; `format` as for printf.
[[noreturn]] void fail(MinilmStatus status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

}  // namespace minilm
