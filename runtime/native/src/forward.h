// The encoder's arithmetic for one block of texts.
#pragma once

#include "team.h"
#include "workspace.h"

namespace minilm {

// Texts that are computed together, their tokens one after another without padding.
struct Block {
    const int32_t* ids;
    const int64_t* offsets;  // (texts + 1), into ids
    int texts;
    int rows;        // tokens
    float* vectors;  // (texts, dimension)
};

// Phases of a block's computation.
int count_phases(const Model& model, const Block& block);

// Compute a block. A team shares it: every thread calls this with its rank, and the same block,
// workspace and phases. A single thread gives no phases.
void forward(const Model& model, const Block& block, Workspace& workspace, Phases* phases,
             int rank);

}  // namespace minilm
