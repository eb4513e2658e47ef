// Numbers of the S3 wire protocol. Sizes in bytes. Source: the S3 API reference and user guide, where not
// ours.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/limits.h"

namespace ostraka::s3api {

inline constexpr std::size_t kMaxXmlDepth = 16;          // ours
inline constexpr std::size_t kMaxXmlElements = 150'000;  // ours: bounds the memory of a parsed document
inline constexpr std::size_t kMaxSmallXmlBytes = 64U << 10;
inline constexpr std::size_t kMaxDeleteXmlBytes = 4U << 20;
inline constexpr std::size_t kMaxCompleteXmlBytes = 6U << 20;

inline constexpr std::size_t kMaxListKeys = 1000;
inline constexpr std::size_t kMaxDeleteKeys = 1000;
inline constexpr std::size_t kMaxListBuckets = 10'000;
inline constexpr std::size_t kMaxListParts = 1000;

inline constexpr std::size_t kMinBucketNameBytes = 3;
inline constexpr std::size_t kMaxBucketNameBytes = 63;
inline constexpr std::size_t kMaxObjectTags = 10;
inline constexpr std::size_t kMaxTagKeyChars = 128;
inline constexpr std::size_t kMaxTagValueChars = 256;

inline constexpr std::size_t kMaxFormFieldsBytes = 20U << 10;  // all fields before the file of a browser form
inline constexpr std::size_t kMaxFormFields = 100;
inline constexpr std::size_t kMaxBufferedFormBytes =
    256U << 10;                                       // forms up to this size may have fields after the file
inline constexpr std::size_t kMaxBoundaryBytes = 70;  // RFC 2046

// Two parts of a completed upload need about 10 elements; the whole list must pass the element limit.
static_assert(kMaxXmlElements > kMaxParts * 10);

}  // namespace ostraka::s3api
