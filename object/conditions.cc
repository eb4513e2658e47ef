// Preconditions of reads (RFC 9110, 13.2.2) and of S3's conditional writes.
#include <algorithm>

#include "object/object_layer.h"

namespace ostraka::object {

namespace {

using disk::RecordKind;
using disk::VersionRecord;

bool matches(const std::vector<std::string>& etags, const VersionRecord& record) {
  return std::any_of(etags.begin(), etags.end(),
                     [&](const std::string& etag) { return etag == "*" || etag == record.etag; });
}

// HTTP dates have whole seconds.
std::int64_t whole_seconds(std::int64_t unix_ms) noexcept {
  return unix_ms / 1000;
}

// header: whose condition did not hold, as clients are told it.
Result<> refused(std::string_view header) {
  return fail(Errc::precondition_failed, std::string(header));
}

}  // namespace

bool Conditions::any() const noexcept {
  return !if_match.empty() || !if_none_match.empty() || if_modified_since_ms || if_unmodified_since_ms ||
         if_match_size || if_match_last_modified_ms;
}

Result<> check_read(const Conditions& conditions, const VersionRecord& current) {
  const std::int64_t modified = whole_seconds(current.modified_ms);
  if (!conditions.if_match.empty()) {
    if (!matches(conditions.if_match, current)) return refused("If-Match");
  } else if (conditions.if_unmodified_since_ms &&
             modified > whole_seconds(*conditions.if_unmodified_since_ms)) {
    return refused("If-Unmodified-Since");
  }
  if (!conditions.if_none_match.empty()) {
    if (matches(conditions.if_none_match, current)) return fail(Errc::not_modified, "If-None-Match");
  } else if (conditions.if_modified_since_ms && modified <= whole_seconds(*conditions.if_modified_since_ms)) {
    return fail(Errc::not_modified, "If-Modified-Since");
  }
  return {};
}

Result<> check_source(const Conditions& conditions, const VersionRecord& current) {
  const auto held = check_read(conditions, current);
  return held ? held : refused("x-amz-copy-source-" + held.error().detail);
}

Result<> check_write(const Conditions& conditions, const VersionRecord* current) {
  if (current != nullptr && current->kind != RecordKind::object) current = nullptr;
  const bool needs_object =
      !conditions.if_match.empty() || conditions.if_match_size || conditions.if_match_last_modified_ms;
  if (current == nullptr) return needs_object ? Result<>(fail(Errc::no_such_key)) : Result<>{};
  const std::int64_t modified = whole_seconds(current->modified_ms);
  if (!conditions.if_match.empty() && !matches(conditions.if_match, *current)) return refused("If-Match");
  if (matches(conditions.if_none_match, *current)) return refused("If-None-Match");
  if (conditions.if_match_size && *conditions.if_match_size != current->size)
    return refused("x-amz-if-match-size");
  if (conditions.if_match_last_modified_ms &&
      whole_seconds(*conditions.if_match_last_modified_ms) != modified)
    return refused("x-amz-if-match-last-modified-time");
  if (conditions.if_unmodified_since_ms && modified > whole_seconds(*conditions.if_unmodified_since_ms))
    return refused("If-Unmodified-Since");
  return {};
}

}  // namespace ostraka::object
