// Threads that work on one block of texts together.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace minilm {

// Work in phases: items of a phase may be done by any thread, and a phase begins when the one
// before it is done. Threads take items as they come, so a thread that the system does not run
// delays nobody: the others do its part.
class Phases {
public:
    explicit Phases(int count) : phases_(new Phase[count]) {}

    // Take part in a phase: call `work(item)` for items that no other thread has taken, then wait
    // until all are done. Every thread calls this for all phases, in order, with the same `items`.
    template <class Work>
    void run(int phase, int items, const Work& work) {
        Phase& state = phases_[phase];
        for (int item; (item = state.taken.fetch_add(1, std::memory_order_relaxed)) < items;) {
            work(item);
            state.done.fetch_add(1, std::memory_order_release);
        }
        for (int i = 0; state.done.load(std::memory_order_acquire) < items; ++i) {
            if (i < kSpins)
                pause();
            else
                std::this_thread::yield();
        }
    }

private:
    struct alignas(64) Phase {
        std::atomic<int> taken{0};
        std::atomic<int> done{0};
    };

    static constexpr int kSpins = 2000;  // an item takes microseconds

    static void pause() {
#if defined(__x86_64__)
        _mm_pause();
#endif
    }

    std::unique_ptr<Phase[]> phases_;
};

}  // namespace minilm
