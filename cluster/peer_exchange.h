// How a frame is read from the body of an HTTP message. Internal to the two ends of the peer protocol.
#pragma once

#include <string>
#include <vector>

#include "cluster/peer_frame.h"
#include "disk/drive.h"
#include "net/service.h"

namespace ostraka::cluster {

inline constexpr std::string_view kPeerPath = "/peer/v";          // then the version, '/' and the method
inline constexpr std::string_view kHelloPath = "/peer/v1/hello";  // of all versions, for ever
inline constexpr std::string_view kDeadlineHeader = "X-Ostraka-Deadline-Ms";
inline constexpr std::string_view kRequestIdHeader = "X-Ostraka-Request-Id";
// What this build speaks. In a file of their own (peer_versions.cc), so that a test can link another release.
extern const unsigned kOldestPeerVersion, kNewestPeerVersion;

// The rest of a message that breaks off is Errc::closed.
Task<Result<>> read_exactly(net::BodySource& body, MutableByteSpan out);
// What precedes the head. content_length: of the message, which must be that of the frame. Errors: those of
// decode_frame, and of the body.
Task<Result<PeerFrame>> read_frame(net::BodySource& body, std::uint64_t content_length, std::string method);
// Errors: those of check_head, and of the body.
Task<Result<std::string>> read_head(net::BodySource& body, PeerFrame frame);
// Reads the body into the targets, which are as large together, and compares its hash. Error: corrupt,
// closed, deadline.
Task<Result<>> read_body(net::BodySource& body, const PeerFrame& frame,
                         const std::vector<disk::BlockTarget>& into);
// The same for somebody who compares what came with digests of his own.
Task<Result<>> read_unchecked_body(net::BodySource& body, const std::vector<disk::BlockTarget>& into);

}  // namespace ostraka::cluster
