// Which kernels this processor and this operating system can run.
#pragma once

#include <string>
#include <vector>

#include "kernel.h"

namespace minilm {

// Those that can run here, fastest first; the last one is plain C++.
const std::vector<Kernel>& available_kernels();

// The fastest, or the one of that name. Throws Error (MINILM_UNSUPPORTED_KERNEL).
const Kernel& find_kernel(const char* name);

}  // namespace minilm
