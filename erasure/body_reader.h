// The BodyReader of an erasure set: parts and stripes in order, one batch read ahead while the caller sends.
// See erasure/README.md.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// Errors: invalid_argument (range beyond the object), corrupt (a record that cannot be).
Result<std::unique_ptr<BodyReader>> open_body_reader(CorePtr core, disk::ObjectRef ref,
                                                     std::shared_ptr<const Elected> elected, ByteRange range);

}  // namespace ostraka::erasure
