// A tile of integer sums on its way to memory. Included after math.inl.
#pragma once

namespace {

template <minilm::Finish Kind>
inline void finish_tile(const minilm::FinishArguments& a) {
    for (int row = 0; row < a.rows; ++row) {
        const Vector row_scale = broadcast(a.row_scale[row]);
        const int32_t* sums = a.sums + static_cast<size_t>(row) * a.sums_stride;
        const size_t offset = row * a.stride;
        for (int i = 0; i < a.columns; i += 16) {
            const Vector scaled = from_int32(sums + i) * row_scale;
            Vector value = fma(scaled, load(a.scale + i), load(a.bias + i));
            if constexpr (Kind == minilm::Finish::kGelu) value = gelu(value);
            if constexpr (Kind == minilm::Finish::kResidual) {
                value = value + load(a.residual + offset + i);
            }
            store(a.out + offset + i, value);
        }
    }
}

void finish(minilm::Finish kind, const minilm::FinishArguments& arguments) {
    switch (kind) {
        case minilm::Finish::kPlain:
            finish_tile<minilm::Finish::kPlain>(arguments);
            break;
        case minilm::Finish::kResidual:
            finish_tile<minilm::Finish::kResidual>(arguments);
            break;
        case minilm::Finish::kGelu:
            finish_tile<minilm::Finish::kGelu>(arguments);
            break;
    }
}

}  // namespace
