// Numbers of the S3 wire protocol. Sizes in bytes. Source: the S3 API reference and user guide, where not
// ours.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/limits.h"

namespace ostraka::s3api {

inline constexpr std::size_t kMaxListKeys = 1000;
inline constexpr std::size_t kMaxDeleteKeys = 1000;
inline constexpr std::size_t kMaxListBuckets = 10'000;
inline constexpr std::size_t kMaxListParts = 1000;

inline constexpr std::size_t kMaxObjectTags = 10;
inline constexpr std::size_t kMaxTagKeyChars = 128;
inline constexpr std::size_t kMaxTagValueChars = 256;

inline constexpr std::size_t kMaxFormFieldsBytes = 20U << 10;  // all fields before the file of a browser form
inline constexpr std::size_t kMaxFormFields = 100;
inline constexpr std::size_t kMaxBufferedFormBytes =
    256U << 10;                                       // forms up to this size may have fields after the file
inline constexpr std::size_t kMaxBoundaryBytes = 70;  // RFC 2046

// What a request's XML document may cost; the numbers are ours, and leave room for elements we do not know.
struct XmlLimits {
  std::size_t bytes = 0;
  // Elements, attributes, comments and sections, all of which cost memory or part a text in two that do.
  std::size_t nodes = 0;
};
inline constexpr std::size_t kMaxXmlDepth = 16;
inline constexpr XmlLimits kSmallXml{.bytes = 64U << 10, .nodes = 1000};
inline constexpr XmlLimits kDeleteXml{.bytes = 4U << 20,
                                      .nodes = kMaxDeleteKeys * 8};  // Object and its fields
inline constexpr XmlLimits kCompleteXml{.bytes = 6U << 20,
                                        .nodes = kMaxParts * 15};  // Part, with all checksums

}  // namespace ostraka::s3api
