// An open encoder: checks a call's arguments, cuts its texts into blocks, runs them on threads.
#pragma once

#include <memory>

#include "workspace.h"

namespace minilm {

class Encoder : public std::enable_shared_from_this<Encoder> {
public:
    Encoder(const uint8_t* data, size_t size, const Kernel& kernel)
        : model_(load_model(data, size, kernel)) {}

    const Model& model() const { return model_; }

    // See minilm_native_encode. Throws Error and std::bad_alloc.
    void encode(const int32_t* ids, const int64_t* offsets, int64_t texts, int threads,
                float* vectors) const;

private:
    class Job;

    Model model_;
    mutable WorkspacePool pool_;
};

}  // namespace minilm
