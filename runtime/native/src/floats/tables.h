// The float arithmetic of each instruction set. Those of other processors are not compiled.
#pragma once

#include "../kernel.h"

namespace minilm {

extern const FloatOps kFloatsAvx512;
extern const FloatOps kFloatsAvx2;
extern const FloatOps kFloatsNeon;
extern const FloatOps kFloatsGeneric;

}  // namespace minilm
