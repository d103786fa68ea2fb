#include "error.h"

#include <cstdio>

namespace minilm {

void fail(MinilmStatus status, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Error{status, text};
}

}  // namespace minilm
