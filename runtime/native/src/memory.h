// Arrays that begin at a cache line, for the wide loads of the kernels.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace minilm {

struct AlignedDelete {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};

template <class Element>
using AlignedArray = std::unique_ptr<Element[], AlignedDelete>;

// Elements are not initialized. Throws std::bad_alloc.
template <class Element>
AlignedArray<Element> make_aligned(size_t count) {
    void* memory = ::operator new(count * sizeof(Element) + 64, std::align_val_t{64});
    return AlignedArray<Element>(static_cast<Element*>(memory));
}

}  // namespace minilm
