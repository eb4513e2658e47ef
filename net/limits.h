// The numbers of HTTP that are not configurable.
#pragma once

#include <chrono>
#include <cstddef>

namespace ostraka::net {

inline constexpr std::size_t kMaxHeadBytes = 32U << 10;  // start line and fields, with the empty line
inline constexpr std::size_t kMaxTargetBytes =
    16U << 10;  // a key of 1,024 bytes percent-encoded, and a presigned query
inline constexpr std::size_t kMaxHeadFields = 256;
inline constexpr std::size_t kInputBytes =
    kMaxHeadBytes;  // input buffer of a connection; touched only as far as it is filled
inline constexpr std::size_t kMaxChunkLineBytes = 256;     // a chunk's size with its extensions
inline constexpr std::size_t kMaxTrailerBytes = 8U << 10;  // of chunked transfer coding
inline constexpr std::size_t kMaxDrainBytes = 256U << 10;  // of an unread body, to keep the connection
// What a client has to send of a body within each timeout that it is waited for, or all there is: a byte now
// and then holds neither a connection nor what its request has taken. 2 KiB a second with the default
// timeout.
inline constexpr std::size_t kLeastBytesPerTimeout = 64U << 10;
inline constexpr std::size_t kTlsRecordBytes = 16U << 10;  // the most that one TLS record carries
inline constexpr std::size_t kTlsSendBytes = 128U << 10;   // of records that leave in one system call
inline constexpr std::size_t kTlsReadBytes = 64U << 10;    // of records that come in one system call
inline constexpr std::size_t kMaxPemBytes = 1U << 20;      // of a file with certificates or a key
// For a connection beyond those of clients to show that it is a peer's.
inline constexpr auto kStrangerTimeout = std::chrono::seconds(2);
static_assert(kMaxTargetBytes < kMaxHeadBytes && kMaxHeadBytes <= kInputBytes);
static_assert(kMaxChunkLineBytes < kInputBytes && kMaxTrailerBytes < kInputBytes);

}  // namespace ostraka::net
