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

inline constexpr std::size_t kMaxPeerHead = 16U << 20;  // of a peer call or its answer: a page of a listing
inline constexpr std::size_t kMaxPeerBody = 4U << 20;

}  // namespace ostraka::cluster
