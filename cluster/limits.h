// Numbers of the cluster folder.
#pragma once

#include <chrono>
#include <cstddef>

namespace ostraka::cluster {

inline constexpr std::size_t kMaxDocumentNameBytes = 512;
inline constexpr std::size_t kMaxDocumentBytes = 1U << 20;
inline constexpr std::size_t kMaxDocuments = 100'000;  // live or erased, in one control store
inline constexpr std::size_t kMaxImportBytes = 256U << 20;
inline constexpr auto kDocumentGrace = std::chrono::milliseconds(200);  // for the drives beyond the majority

}  // namespace ostraka::cluster
