#include "cpu.h"

#include <cstring>

#include "error.h"
#include "floats/tables.h"
#include "integer/tables.h"

#if defined(__x86_64__)
#define MINILM_X86 1
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__)
#define MINILM_ARM 1
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif
#endif

namespace minilm {

namespace {

#if MINILM_X86

struct Registers {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Zeros for a leaf that the processor does not have.
Registers cpuid(uint32_t leaf, uint32_t subleaf) {
    Registers r;
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

// Which registers the operating system saves when it switches between threads.
uint64_t saved_state() {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return static_cast<uint64_t>(high) << 32 | low;
}

#if MINILM_HAS_AMX
// Linux gives a process the tile registers when it asks for them.
bool may_use_tiles() {
    constexpr int kRequestPermission = 0x1023, kTileData = 18;  // asm/prctl.h, asm/fpu/types.h
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

std::vector<Kernel> detect() {
    const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
    const Registers basic = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
    const bool xsave = bit(basic.ecx, 27);
    const uint64_t saved = xsave ? saved_state() : 0;
    const bool avx2 =
        (saved & 0x6) == 0x6 && bit(extended.ebx, 5) && bit(basic.ecx, 12);  // and FMA
    // Foundation, DQ, BW, VL; upper halves and mask registers.
    const bool avx512 = avx2 && (saved & 0xE6) == 0xE6 && bit(extended.ebx, 16) &&
                        bit(extended.ebx, 17) && bit(extended.ebx, 30) && bit(extended.ebx, 31);
    std::vector<Kernel> kernels;
#if MINILM_HAS_AMX
    const bool tiles =
        (saved & 0x60000) == 0x60000 && bit(extended.edx, 24) && bit(extended.edx, 25);
    if (avx512 && tiles && may_use_tiles())
        kernels.push_back({"amx", &kIntegerAmx, &kFloatsAvx512});
#endif
    if (avx512 && bit(extended.ecx, 11)) {
        kernels.push_back({"avx512_vnni", &kIntegerAvx512Vnni, &kFloatsAvx512});
    }
    if (avx2 && bit(more.eax, 4)) kernels.push_back({"avx_vnni", &kIntegerAvxVnni, &kFloatsAvx2});
    if (avx2) kernels.push_back({"avx2", &kIntegerAvx2, &kFloatsAvx2});
    return kernels;
}

#elif MINILM_ARM

bool has_dot_product() {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (1UL << 20)) != 0;  // HWCAP_ASIMDDP
#elif defined(__APPLE__)
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, nullptr, 0) == 0 && value;
#elif defined(_WIN32)
    return IsProcessorFeaturePresent(43) != 0;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
#else
    return false;
#endif
}

std::vector<Kernel> detect() {
    std::vector<Kernel> kernels;
    if (has_dot_product()) kernels.push_back({"neon_dot", &kIntegerNeonDot, &kFloatsNeon});
    kernels.push_back({"neon", &kIntegerGeneric, &kFloatsNeon});
    return kernels;
}

#else

std::vector<Kernel> detect() { return {}; }

#endif

}  // namespace

const std::vector<Kernel>& available_kernels() {
    static const std::vector<Kernel> kernels = [] {
        std::vector<Kernel> found = detect();
        found.push_back({"generic", &kIntegerGeneric, &kFloatsGeneric});
        return found;
    }();
    return kernels;
}

const Kernel& find_kernel(const char* name) {
    std::string names;
    for (const Kernel& kernel : available_kernels()) {
        if (!name || !std::strcmp(name, kernel.name)) return kernel;
        names += (names.empty() ? "" : ", ") + std::string(kernel.name);
    }
    fail(MINILM_UNSUPPORTED_KERNEL, "kernel \"%s\" cannot run on this processor; it has: %s", name,
         names.c_str());
}

}  // namespace minilm
