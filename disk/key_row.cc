// The codec of key rows: disk/FORMAT.md, "Key row".
#include <array>

#include "base/hash.h"
#include "disk/key_state.h"
#include "disk/limits.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint8_t kPlainRow = 1;
constexpr std::uint8_t kRowWithBirth = 2;
constexpr std::size_t kTrailerBytes = 8;
constexpr std::size_t kVersionIdBytes = 12;

enum Flag : std::uint8_t {
  kTombstone = 1,
  kInline = 2,
  kFiles = 4,
  kFromUpload = 8,
  kExpectAny = 16,   // no expected predecessor
  kExpectNone = 32,  // the key has to be absent; neither bit: the id follows
  kAllFlags = 63,
};

std::uint8_t flags_of(const HeldVersion& version) {
  unsigned flags = 0;
  if (version.tombstone) flags |= kTombstone;
  if (version.has_inline) flags |= kInline;
  if (version.has_files) flags |= kFiles;
  if (version.from_upload) flags |= kFromUpload;
  if (version.expect == kAnyVersion) flags |= kExpectAny;
  if (version.expect == kNoVersion) flags |= kExpectNone;
  return static_cast<std::uint8_t>(flags);
}

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("key row: ") + what);
}

// False: it does not decode.
bool take_birth(WireReader& in, KeyState& state) {
  state.birth = in.take_varint();
  const auto refilling = in.take_int<std::uint8_t>();
  state.refilling = refilling == 1;
  state.readmitted_at_ms = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  return in.ok() && state.birth != 0 && refilling <= 1;
}

bool take_version(WireReader& in, HeldVersion& version) {
  version.id = in.take_version_id();
  const auto flags = in.take_int<std::uint8_t>();
  if ((flags & ~kAllFlags) != 0) return false;
  if ((flags & kExpectAny) != 0 && (flags & kExpectNone) != 0) return false;
  version.tombstone = (flags & kTombstone) != 0;
  version.has_inline = (flags & kInline) != 0;
  version.has_files = (flags & kFiles) != 0;
  version.from_upload = (flags & kFromUpload) != 0;
  if ((flags & kExpectAny) != 0) {
    version.expect = kAnyVersion;
  } else if ((flags & kExpectNone) != 0) {
    version.expect = kNoVersion;
  } else {
    version.expect = in.take_version_id();
  }
  version.epoch = in.take_varint();
  version.data_shards = in.take_int<std::uint8_t>();
  version.write_quorum = in.take_int<std::uint8_t>();
  version.shard_index = in.take_int<std::uint8_t>();
  const std::uint64_t record_bytes = in.take_varint();
  if (!in.ok() || record_bytes > kMaxRecordBytes) return false;
  const std::string_view record = in.take(record_bytes);
  if (!in.ok()) return false;
  version.record = std::make_shared<const std::string>(record);
  return true;
}

}  // namespace

std::string encode_key_row(const KeyState& state) {
  std::size_t bytes = 64 + state.fences.size() * kVersionIdBytes;
  for (const HeldVersion& version : state.versions) {
    bytes += 48 + (version.record ? version.record->size() : 0);
  }
  std::string out;
  out.reserve(bytes);
  put_int(out, state.birth == 0 ? kPlainRow : kRowWithBirth);
  put_version_id(out, state.final_id);
  put_int(out, static_cast<std::uint64_t>(state.final_at_ms));
  if (state.birth != 0) {
    put_varint(out, state.birth);
    put_int(out, static_cast<std::uint8_t>(state.refilling));
    put_int(out, static_cast<std::uint64_t>(state.readmitted_at_ms));
  }
  put_varint(out, state.fences.size());
  for (const VersionId fence : state.fences) put_version_id(out, fence);
  put_varint(out, state.versions.size());
  for (const HeldVersion& version : state.versions) {
    const std::uint8_t flags = flags_of(version);
    put_version_id(out, version.id);
    put_int(out, flags);
    if ((flags & (kExpectAny | kExpectNone)) == 0) put_version_id(out, version.expect);
    put_varint(out, version.epoch);
    put_int(out, version.data_shards);
    put_int(out, version.write_quorum);
    put_int(out, version.shard_index);
    const std::string_view record = version.record ? std::string_view(*version.record) : std::string_view();
    put_varint(out, record.size());
    out.append(record);
  }
  put_int(out, xxh3_64(as_bytes(out)));
  return out;
}

Result<KeyState> decode_key_row(std::string_view row) {
  if (row.size() < 1 + kTrailerBytes) return corrupt("too short");
  const std::string_view body = row.substr(0, row.size() - kTrailerBytes);
  WireReader trailer(row.substr(body.size()));
  if (trailer.take_int<std::uint64_t>() != xxh3_64(as_bytes(body))) return corrupt("checksum mismatch");

  WireReader in(body);
  const auto version = in.take_int<std::uint8_t>();
  if (version == 0) return corrupt("version 0");
  if (version > kRowWithBirth) {
    return fail(Errc::unsupported_version, "key row of format " + std::to_string(version) +
                                               ": written by a newer release, this one knows up to " +
                                               std::to_string(kRowWithBirth));
  }
  KeyState state;
  state.final_id = in.take_version_id();
  state.final_at_ms = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  if (version == kRowWithBirth && !take_birth(in, state)) return corrupt("birth");
  const std::uint64_t fences = in.take_varint();
  if (!in.ok() || fences > kMaxFences || fences * kVersionIdBytes > in.left()) return corrupt("fences");
  state.fences.reserve(fences);
  for (std::uint64_t i = 0; i < fences; ++i) state.fences.push_back(in.take_version_id());
  const std::uint64_t versions = in.take_varint();
  if (!in.ok() || versions > kMaxVersions || versions * kVersionIdBytes > in.left())
    return corrupt("versions");
  state.versions.reserve(versions);
  for (std::uint64_t i = 0; i < versions; ++i) {
    HeldVersion held;
    if (!take_version(in, held)) return corrupt("version");
    if (!state.versions.empty() && held.id >= state.versions.back().id)
      return corrupt("versions out of order");
    state.versions.push_back(std::move(held));
  }
  if (in.left() != 0) return corrupt("bytes left over");
  return state;
}

}  // namespace ostraka::disk
