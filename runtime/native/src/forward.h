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
    float* vectors;  // (texts, dimension)

    int rows() const { return static_cast<int>(offsets[texts] - offsets[0]); }
};

// Compute one thread's share of a block: every thread of a team of `size` calls this with its rank,
// and the same block, workspace and barrier.
void forward(const Model& model, const Block& block, Workspace& workspace, Barrier& barrier,
             int rank, int size);

}  // namespace minilm
