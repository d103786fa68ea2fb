#include "vector_avx512.h"
// After the vector type that they are written over:
#include "math.inl"
#include "rows.inl"
#include "finish.inl"
#include "attention.inl"
#include "tables.h"

const minilm::FloatOps minilm::kFloatsAvx512 = {kAttentionRows, embed,     normalize, quantize,
                                                finish,         attention, pool};
