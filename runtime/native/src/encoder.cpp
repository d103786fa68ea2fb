#include "encoder.h"

#include <algorithm>
#include <cfenv>
#include <system_error>
#include <thread>

#include "error.h"
#include "forward.h"

namespace minilm {

namespace {

constexpr int kBlockRows = 256;  // tokens of a block: enough to use each panel of weights often
constexpr int kLeastRows = 48;   // fewer are not worth a block of their own
constexpr int kMaxThreads = 1024;
constexpr int kMaxTeam = 4;  // threads that share a block: more wait more than they work

// Rounding and subnormal numbers as the C standard has them, whatever the caller's thread uses:
// vectors must not depend on it.
class FloatEnvironment {
public:
    FloatEnvironment() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~FloatEnvironment() { std::fesetenv(&saved_); }

private:
    std::fenv_t saved_;
};

void check(const Architecture& a, const int32_t* ids, const int64_t* offsets, int64_t texts,
           int threads, const float* vectors) {
    if (threads < 1 || threads > kMaxThreads) {
        fail(MINILM_INVALID_ARGUMENT, "threads is %d, expected is 1 to %d", threads, kMaxThreads);
    }
    if (texts < 0 || texts > INT32_MAX) {
        fail(MINILM_INVALID_ARGUMENT, "%lld texts, expected is 0 to %d",
             static_cast<long long>(texts), INT32_MAX);
    }
    if (texts == 0) return;
    if (!ids || !offsets || !vectors)
        fail(MINILM_INVALID_ARGUMENT, "ids, offsets or vectors is null");
    if (offsets[0] != 0) {
        fail(MINILM_INVALID_ARGUMENT, "offsets begin with %lld, expected is 0",
             static_cast<long long>(offsets[0]));
    }
    for (int64_t text = 0; text < texts; ++text) {
        const int64_t tokens = offsets[text + 1] - offsets[text];
        if (offsets[text + 1] < offsets[text] || tokens < 1 || tokens > a.max_tokens) {
            fail(MINILM_INVALID_ARGUMENT, "text %lld has %lld tokens, expected is 1 to %d",
                 static_cast<long long>(text), static_cast<long long>(tokens), a.max_tokens);
        }
        for (int64_t at = offsets[text]; at < offsets[text + 1]; ++at) {
            if (ids[at] < 0 || ids[at] >= a.vocab_size) {
                fail(MINILM_INVALID_ARGUMENT,
                     "token %lld of text %lld has id %d, expected is 0 to %d",
                     static_cast<long long>(at - offsets[text]), static_cast<long long>(text),
                     ids[at], a.vocab_size - 1);
            }
        }
    }
}

// Cut texts into blocks of whole texts: large enough for the cache, and small enough that every
// thread has some. How does not change a text's vector.
std::vector<Block> plan_blocks(const int32_t* ids, const int64_t* offsets, int64_t texts,
                               int threads, float* vectors, int dimension) {
    const int64_t fair = offsets[texts] / (2 * static_cast<int64_t>(threads));
    const int64_t limit =
        threads == 1 ? kBlockRows : std::clamp<int64_t>(fair, kLeastRows, kBlockRows);
    std::vector<Block> blocks;
    int64_t first = 0;
    for (int64_t text = 1; text <= texts; ++text) {
        if (text < texts && offsets[text + 1] - offsets[first] <= limit) continue;
        blocks.push_back(
            {ids, offsets + first, static_cast<int>(text - first), vectors + first * dimension});
        first = text;
    }
    return blocks;
}

WorkspaceSize size_of(const std::vector<Block>& blocks, int team) {
    WorkspaceSize size;
    size.team = team;
    for (const Block& block : blocks) {
        size.rows = std::max(size.rows, block.rows());
        for (int text = 0; text < block.texts; ++text) {
            const int64_t tokens = block.offsets[text + 1] - block.offsets[text];
            size.longest = std::max(size.longest, static_cast<int>(tokens));
        }
    }
    return size;
}

// Run `work(rank, size)` on up to `wanted` threads, this one included: on fewer if the system has
// no more. Threads begin when all are there, so `size` is final.
template <class Work>
void run_on_threads(int wanted, const Work& work) {
    std::atomic<int> size{0};
    std::vector<std::thread> others;
    others.reserve(wanted - 1);
    const auto follow = [&](int rank) {
        for (int i = 0; size.load(std::memory_order_acquire) == 0; ++i) {
            if (i > 4000)
                std::this_thread::yield();
            else
                pause_briefly();
        }
        const FloatEnvironment environment;
        work(rank, size.load(std::memory_order_relaxed));
    };
    try {
        for (int rank = 1; rank < wanted; ++rank) others.emplace_back(follow, rank);
    } catch (const std::system_error&) {
        // Those that there are do the work.
    }
    const int started = static_cast<int>(others.size()) + 1;
    size.store(started, std::memory_order_release);
    {
        const FloatEnvironment environment;
        work(0, started);
    }
    for (std::thread& other : others) other.join();
}

}  // namespace

void Encoder::encode(const int32_t* ids, const int64_t* offsets, int64_t texts, int threads,
                     float* vectors) const {
    const Architecture& a = model_.architecture;
    check(a, ids, offsets, texts, threads, vectors);
    if (texts == 0) return;
    const auto blocks = plan_blocks(ids, offsets, texts, threads, vectors, a.dimension);
    if (blocks.size() == 1) {  // its threads share every product
        const int team = std::min({threads, a.heads, kMaxTeam});
        auto workspace = pool_.take(model_, size_of(blocks, team));
        std::unique_ptr<Barrier> barrier;
        std::atomic<Barrier*> ready{nullptr};
        run_on_threads(team, [&](int rank, int size) {
            if (rank == 0) {
                barrier = std::make_unique<Barrier>(size);
                ready.store(barrier.get(), std::memory_order_release);
            }
            while (!ready.load(std::memory_order_acquire)) pause_briefly();
            forward(model_, blocks[0], *workspace, *ready.load(), rank, size);
        });
        pool_.give_back(std::move(workspace));
        return;
    }
    const int workers = static_cast<int>(std::min<size_t>(threads, blocks.size()));
    std::vector<std::unique_ptr<Workspace>> workspaces;
    for (int i = 0; i < workers; ++i) workspaces.push_back(pool_.take(model_, size_of(blocks, 1)));
    std::atomic<size_t> next{0};
    run_on_threads(workers, [&](int rank, int) {
        Barrier alone(1);
        for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks.size();) {
            forward(model_, blocks[i], *workspaces[rank], alone, 0, 1);
        }
    });
    for (auto& workspace : workspaces) pool_.give_back(std::move(workspace));
}

}  // namespace minilm
