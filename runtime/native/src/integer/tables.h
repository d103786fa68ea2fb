// The integer products of each instruction set. Those of other processors are not compiled.
#pragma once

#include "../kernel.h"

namespace minilm {

extern const IntegerOps kIntegerAmx;
extern const IntegerOps kIntegerAvx512Vnni;
extern const IntegerOps kIntegerAvxVnni;
extern const IntegerOps kIntegerAvx2;
extern const IntegerOps kIntegerNeonDot;
extern const IntegerOps kIntegerGeneric;

}  // namespace minilm
