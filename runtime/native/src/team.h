// Threads that work on one block of texts together.
#pragma once

#include <atomic>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace minilm {

inline void pause_briefly() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

// Lets a thread go on when all have come. They meet every few microseconds, so they wait in a loop
// at first; who waits longer gives the core away.
class Barrier {
public:
    explicit Barrier(int size) : size_(size) {}

    void wait() {
        if (size_ == 1) return;
        const int round = round_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int i = 0; round_.load(std::memory_order_acquire) == round; ++i) {
            if (i < kSpins)
                pause_briefly();
            else
                std::this_thread::yield();
        }
    }

private:
    static constexpr int kSpins = 4000;

    const int size_;
    std::atomic<int> arrived_{0};
    std::atomic<int> round_{0};
};

struct Range {
    int first, last;
};

// The share of `rank` among `size` of `count` items that lie one after another.
inline Range share(int count, int rank, int size) {
    return {static_cast<int>(static_cast<int64_t>(count) * rank / size),
            static_cast<int>(static_cast<int64_t>(count) * (rank + 1) / size)};
}

}  // namespace minilm
