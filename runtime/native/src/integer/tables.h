// The integer products of each instruction set. Those of other processors are not compiled.
#pragma once

#include "../kernel.h"

// Elsewhere the system does not hand out the tile registers, or the compiler cannot address them.
#if defined(__x86_64__) && defined(__linux__)
#define MINILM_HAS_AMX 1
#endif

namespace minilm {

extern const IntegerOps kIntegerAmx;
extern const IntegerOps kIntegerAvx512Vnni;
extern const IntegerOps kIntegerAvxVnni;
extern const IntegerOps kIntegerAvx2;
extern const IntegerOps kIntegerNeonDot;
extern const IntegerOps kIntegerGeneric;

}  // namespace minilm
