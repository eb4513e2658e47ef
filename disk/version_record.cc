#include "disk/version_record.h"

#include <limits>

#include "disk/limits.h"
#include "disk/version_record.pb.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint32_t kFormat = 1;

void put_pairs(google::protobuf::RepeatedPtrField<pb::Pair>& out, const StringPairs& pairs) {
  out.Reserve(static_cast<int>(pairs.size()));
  for (const auto& [name, value] : pairs) {
    pb::Pair& pair = *out.Add();
    pair.set_name(name);
    pair.set_value(value);
  }
}

void take_pairs(google::protobuf::RepeatedPtrField<pb::Pair>& in, StringPairs& pairs) {
  pairs.reserve(static_cast<std::size_t>(in.size()));
  for (pb::Pair& pair : in)
    pairs.emplace_back(std::move(*pair.mutable_name()), std::move(*pair.mutable_value()));
}

void put_part(pb::Part& out, const PartRecord& part) {
  out.set_number(part.number);
  out.set_size(part.size);
  if (!part.data.is_nil()) out.set_data(part.data.bytes.data(), part.data.bytes.size());
  out.set_md5(part.md5);
  out.set_checksum(part.checksum);
  out.set_modified_ms(part.modified_ms);
}

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("version record: ") + what);
}

Result<PartRecord> take_part(pb::Part& in) {
  PartRecord part;
  if (in.number() > kMaxParts || in.size() > kMaxPartBytes) return corrupt("part out of bounds");
  part.number = in.number();
  part.size = in.size();
  if (!in.data().empty()) {
    if (in.data().size() != part.data.bytes.size()) return corrupt("data id of another length");
    std::memcpy(part.data.bytes.data(), in.data().data(), part.data.bytes.size());
  }
  part.md5 = std::move(*in.mutable_md5());
  part.checksum = std::move(*in.mutable_checksum());
  part.modified_ms = in.modified_ms();
  return part;
}

bool known_kind(std::uint32_t kind) {
  return kind >= static_cast<std::uint32_t>(RecordKind::object) &&
         kind <= static_cast<std::uint32_t>(RecordKind::part);
}

}  // namespace

std::string encode(const VersionRecord& record) {
  pb::VersionRecord out;
  out.set_format(kFormat);
  out.set_id_time(record.id.time);
  out.set_id_origin(record.id.origin);
  if (record.expect == kAnyVersion) {
    out.set_expect_any(true);
  } else if (record.expect != kNoVersion) {
    out.mutable_expect()->set_time(record.expect.time);
    out.mutable_expect()->set_origin(record.expect.origin);
  }
  out.set_epoch(record.epoch);
  out.set_kind(static_cast<std::uint32_t>(record.kind));
  out.set_data_shards(record.data_shards);
  out.set_parity_shards(record.parity_shards);
  out.set_write_quorum(record.write_quorum);
  out.set_inline_data(record.inline_data);
  out.set_size(record.size);
  out.mutable_parts()->Reserve(static_cast<int>(record.parts.size()));
  for (const PartRecord& part : record.parts) put_part(*out.add_parts(), part);
  out.set_modified_ms(record.modified_ms);
  out.set_etag(record.etag);
  out.set_storage_class(record.storage_class);
  out.set_checksum_algorithm(static_cast<std::uint32_t>(record.checksum_algorithm));
  out.set_checksum_type(static_cast<std::uint32_t>(record.checksum_type));
  out.set_checksum(record.checksum);
  put_pairs(*out.mutable_headers(), record.headers);
  put_pairs(*out.mutable_user_metadata(), record.user_metadata);
  put_pairs(*out.mutable_tags(), record.tags);
  out.set_upload_id(record.upload_id);
  return out.SerializeAsString();
}

Result<VersionRecord> decode_version_record(ByteSpan bytes) {
  if (bytes.size() > kMaxRecordBytes) return corrupt("too long");
  pb::VersionRecord in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return corrupt("does not parse");
  if (in.format() == 0) return corrupt("no format");
  if (in.format() > kFormat) {
    return fail(Errc::unsupported_version, "version record of format " + std::to_string(in.format()) +
                                               ": written by a newer release, this one knows up to " +
                                               std::to_string(kFormat));
  }
  if (!known_kind(in.kind())) return corrupt("kind");
  if (in.data_shards() < 1 || in.data_shards() > kMaxDataShards) return corrupt("data shards");
  if (in.parity_shards() > in.data_shards()) return corrupt("parity shards");
  if (in.write_quorum() < 1 || in.write_quorum() > in.data_shards() + in.parity_shards())
    return corrupt("quorum");
  if (in.size() > kMaxObjectBytes) return corrupt("size");
  if (in.parts_size() > static_cast<int>(kMaxParts)) return corrupt("number of parts");
  if (in.checksum_algorithm() > static_cast<std::uint32_t>(ChecksumAlgorithm::xxhash128))
    return corrupt("algorithm");
  if (in.checksum_type() > static_cast<std::uint32_t>(ChecksumType::composite))
    return corrupt("checksum type");

  VersionRecord record;
  record.id = {in.id_time(), in.id_origin()};
  if (in.expect_any()) {
    record.expect = kAnyVersion;
  } else if (in.has_expect()) {
    record.expect = {in.expect().time(), in.expect().origin()};
  } else {
    record.expect = kNoVersion;
  }
  record.epoch = in.epoch();
  record.kind = static_cast<RecordKind>(in.kind());
  record.data_shards = static_cast<std::uint8_t>(in.data_shards());
  record.parity_shards = static_cast<std::uint8_t>(in.parity_shards());
  record.write_quorum = static_cast<std::uint8_t>(in.write_quorum());
  record.inline_data = in.inline_data();
  record.size = in.size();
  record.parts.reserve(static_cast<std::size_t>(in.parts_size()));
  for (pb::Part& raw : *in.mutable_parts()) {
    TRY(part, take_part(raw));
    record.parts.push_back(std::move(part));
  }
  record.modified_ms = in.modified_ms();
  record.etag = std::move(*in.mutable_etag());
  record.storage_class = std::move(*in.mutable_storage_class());
  record.checksum_algorithm = static_cast<ChecksumAlgorithm>(in.checksum_algorithm());
  record.checksum_type = static_cast<ChecksumType>(in.checksum_type());
  record.checksum = std::move(*in.mutable_checksum());
  take_pairs(*in.mutable_headers(), record.headers);
  take_pairs(*in.mutable_user_metadata(), record.user_metadata);
  take_pairs(*in.mutable_tags(), record.tags);
  record.upload_id = std::move(*in.mutable_upload_id());
  return record;
}

// Walks the fields in the order in which they were written, up to the size.
Result<RecordGist> decode_record_gist(std::string_view bytes) {
  enum WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  std::uint64_t kind = 0;
  RecordGist gist;
  WireReader in(bytes);
  while (in.ok() && in.left() > 0) {
    const std::uint64_t tag = in.take_varint();
    const std::uint64_t field = tag >> 3;
    if (field > pb::VersionRecord::kSizeFieldNumber) break;
    switch (tag & 7) {
      case kVarint: {
        const std::uint64_t value = in.take_varint();
        if (field == pb::VersionRecord::kKindFieldNumber) kind = value;
        if (field == pb::VersionRecord::kSizeFieldNumber) gist.size = value;
        break;
      }
      case kFixed64:
        static_cast<void>(in.take(8));
        break;
      case kBytes:
        static_cast<void>(in.take(in.take_varint()));
        break;
      case kFixed32:
        static_cast<void>(in.take(4));
        break;
      default:
        return corrupt("wire type");
    }
  }
  if (!in.ok()) return corrupt("does not parse");
  if (kind > 255 || !known_kind(static_cast<std::uint32_t>(kind))) return corrupt("kind");
  if (gist.size > kMaxObjectBytes) return corrupt("size");
  gist.kind = static_cast<RecordKind>(kind);
  return gist;
}

}  // namespace ostraka::disk
