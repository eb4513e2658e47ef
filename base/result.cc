#include "base/result.h"

namespace ostraka {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::not_found:
      return "not_found";
    case Errc::corrupt:
      return "corrupt";
    case Errc::io:
      return "io";
    case Errc::no_space:
      return "no_space";
    case Errc::unavailable:
      return "unavailable";
    case Errc::in_doubt:
      return "in_doubt";
    case Errc::refused:
      return "refused";
    case Errc::stale_epoch:
      return "stale_epoch";
    case Errc::deadline:
      return "deadline";
    case Errc::closed:
      return "closed";
    case Errc::wrong_drive:
      return "wrong_drive";
    case Errc::unsupported_version:
      return "unsupported_version";
    case Errc::overloaded:
      return "overloaded";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::malformed:
      return "malformed";
    case Errc::too_large:
      return "too_large";
    case Errc::incomplete_body:
      return "incomplete_body";
    case Errc::bad_digest:
      return "bad_digest";
    case Errc::invalid_digest:
      return "invalid_digest";
    case Errc::payload_hash_mismatch:
      return "payload_hash_mismatch";
    case Errc::access_denied:
      return "access_denied";
    case Errc::signature_mismatch:
      return "signature_mismatch";
    case Errc::precondition_failed:
      return "precondition_failed";
    case Errc::not_modified:
      return "not_modified";
    case Errc::conflict:
      return "conflict";
    case Errc::no_such_bucket:
      return "no_such_bucket";
    case Errc::no_such_key:
      return "no_such_key";
    case Errc::no_such_upload:
      return "no_such_upload";
    case Errc::no_such_version:
      return "no_such_version";
    case Errc::bucket_exists:
      return "bucket_exists";
    case Errc::bucket_not_empty:
      return "bucket_not_empty";
    case Errc::invalid_part:
      return "invalid_part";
    case Errc::invalid_part_order:
      return "invalid_part_order";
    case Errc::part_too_small:
      return "part_too_small";
    case Errc::invalid_range:
      return "invalid_range";
    case Errc::method_not_allowed:
      return "method_not_allowed";
    case Errc::not_implemented:
      return "not_implemented";
    case Errc::internal:
      return "internal";
  }
  return "unknown";
}

}  // namespace ostraka
