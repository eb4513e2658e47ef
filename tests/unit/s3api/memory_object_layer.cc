#include "tests/unit/s3api/memory_object_layer.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/limits.h"

namespace ostraka::s3api {

namespace {

using disk::PartRecord;
using disk::VersionRecord;
using object::BodyExpectations;

constexpr std::size_t kMostBytes = 64U << 20;
constexpr std::size_t kSliceBytes = 64U << 10;  // objects are read in pieces, as from stripes

std::string checksum_of(ChecksumAlgorithm algorithm, std::string_view data) {
  const auto checksum = make_checksum(algorithm);
  if (!checksum) return {};
  checksum->update(as_bytes(data));
  return checksum->finish();
}

Task<Result<std::string>> receive(net::BodySource& body, const BodyExpectations& expect) {
  CO_TRY(data, co_await net::read_all(body, kMostBytes));
  if (data.size() != expect.size) co_return fail(Errc::incomplete_body);
  if (expect.sha256 && digest(DigestKind::sha256, data) != *expect.sha256)
    co_return fail(Errc::payload_hash_mismatch);
  if (expect.md5 && digest(DigestKind::md5, data) != *expect.md5) co_return fail(Errc::bad_digest);
  std::optional<std::string> wanted = expect.checksum;
  if (expect.trailer_checksum) {
    CO_TRY(trailer, expect.trailer_checksum());
    wanted = trailer;
  }
  if (wanted && checksum_of(expect.algorithm, data) != *wanted) co_return fail(Errc::bad_digest);
  co_return std::move(data);
}

class MemoryReader final : public object::OpenObject::Reader {
 public:
  MemoryReader(std::shared_ptr<const std::string> data, ByteRange range,
               std::optional<std::uint64_t> fail_after)
      : data_(std::move(data)), range_(range), fail_after_(fail_after) {}
  Task<Result<BufferChain>> next(Ctx&) override {
    BufferChain chain;
    if (fail_after_ && range_.begin >= *fail_after_) co_return fail(Errc::unavailable, "told to fail");
    const std::uint64_t count = std::min<std::uint64_t>(kSliceBytes, range_.size());
    if (count > 0) {
      Buffer buffer = Buffer::on_heap(static_cast<std::size_t>(count));
      std::copy_n(data_->begin() + static_cast<std::ptrdiff_t>(range_.begin), count, buffer.data());
      const ByteSpan bytes(buffer.data(), static_cast<std::size_t>(count));
      chain.push_back(Slice{std::move(buffer), bytes});
      range_.begin += count;
    }
    co_return chain;
  }

 private:
  std::shared_ptr<const std::string> data_;
  ByteRange range_;
  std::optional<std::uint64_t> fail_after_;
};

class MemoryOpenObject final : public object::OpenObject {
 public:
  MemoryOpenObject(MemoryObjectLayer::Object object, std::optional<std::uint64_t> fail_after)
      : object_(std::move(object)), fail_after_(fail_after) {}
  const VersionRecord& record() const noexcept override { return *object_.record; }
  Result<std::unique_ptr<Reader>> read(ByteRange range) override {
    if (range.end > object_.data->size() || range.begin > range.end) return fail(Errc::invalid_range);
    return std::make_unique<MemoryReader>(object_.data, range, fail_after_);
  }

 private:
  MemoryObjectLayer::Object object_;
  std::optional<std::uint64_t> fail_after_;
};

void describe(VersionRecord& record, object::ObjectAttributes attributes) {
  record.headers = std::move(attributes.headers);
  record.user_metadata = std::move(attributes.user_metadata);
  record.tags = std::move(attributes.tags);
  record.storage_class = std::move(attributes.storage_class);
}

// A page of keys of any map, with common prefixes; skips to after `marker`.
template <class Map, class KeyOf, class Take>
void page_of(const Map& map, std::string_view prefix, std::string_view delimiter, std::size_t max,
             KeyOf key_of, Take take, std::vector<std::string>& prefixes, bool& truncated, std::string& next,
             std::string_view marker) {
  std::size_t count = 0;
  for (const auto& entry : map) {
    const std::string& key = key_of(entry);
    if (!key.starts_with(prefix)) continue;
    std::string common;
    if (!delimiter.empty()) {
      const std::size_t at = key.find(delimiter, prefix.size());
      if (at != std::string::npos) common = key.substr(0, at + delimiter.size());
    }
    if (!common.empty() ? common <= marker : key <= marker) continue;
    if (!common.empty() && !prefixes.empty() && prefixes.back() == common) continue;
    if (count == max) {
      truncated = max > 0;
      return;
    }
    ++count;
    next = common.empty() ? key : common;
    if (common.empty()) {
      take(entry);
    } else {
      prefixes.push_back(common);
    }
  }
}

}  // namespace

Result<> MemoryObjectLayer::take_failure() {
  if (!next_failure_) return {};
  return fail(*std::exchange(next_failure_, std::nullopt), "told to fail");
}

Result<MemoryObjectLayer::Bucket*> MemoryObjectLayer::find(const BucketName& name) {
  TRY_VOID(take_failure());
  const auto found = buckets_.find(name.get());
  if (found == buckets_.end()) return fail(Errc::no_such_bucket);
  return &found->second;
}

Result<MemoryObjectLayer::Object> MemoryObjectLayer::find_object(const BucketName& bucket,
                                                                 const ObjectKey& key) {
  TRY(in, find(bucket));
  const auto found = in->objects.find(key.get());
  if (found == in->objects.end()) return fail(Errc::no_such_key);
  return found->second;
}

Result<MemoryObjectLayer::Upload*> MemoryObjectLayer::find_upload(const BucketName& bucket,
                                                                  const ObjectKey& key,
                                                                  const std::string& upload_id) {
  TRY(in, find(bucket));
  const auto found = in->uploads.find({key.get(), upload_id});
  if (found == in->uploads.end()) return fail(Errc::no_such_upload);
  return &found->second;
}

Result<object::RecordPtr> MemoryObjectLayer::store(Bucket& bucket, const std::string& key,
                                                   const object::Conditions& conditions, VersionRecord record,
                                                   std::string data) {
  const auto current = bucket.objects.find(key);
  TRY_VOID(object::check_write(conditions,
                               current == bucket.objects.end() ? nullptr : current->second.record.get()));
  record.size = data.size();
  record.modified_ms = clock_.unix_ms();
  auto shared = std::make_shared<const VersionRecord>(std::move(record));
  bucket.objects[key] = Object{shared, std::make_shared<const std::string>(std::move(data))};
  return object::RecordPtr(shared);
}

Task<Result<object::BucketInfo>> MemoryObjectLayer::create_bucket(Ctx&, BucketName name, std::string owner,
                                                                  std::string settings) {
  CO_TRY_VOID(take_failure());
  if (buckets_.contains(name.get())) co_return fail(Errc::bucket_exists);
  Bucket& bucket = buckets_[name.get()];
  bucket.info.name = std::move(name);
  bucket.info.created_ms = clock_.unix_ms();
  bucket.info.owner = std::move(owner);
  bucket.info.settings = std::move(settings);
  co_return bucket.info;
}

Result<object::BucketInfo> MemoryObjectLayer::bucket(const BucketName& name) const {
  const auto found = buckets_.find(name.get());
  if (found == buckets_.end()) return fail(Errc::no_such_bucket);
  return found->second.info;
}

std::vector<object::BucketInfo> MemoryObjectLayer::buckets() const {
  std::vector<object::BucketInfo> out;
  for (const auto& [name, bucket] : buckets_) out.push_back(bucket.info);
  return out;
}

Task<Result<>> MemoryObjectLayer::delete_bucket(Ctx&, BucketName name) {
  CO_TRY(bucket, find(name));
  if (!bucket->objects.empty()) co_return fail(Errc::bucket_not_empty);
  buckets_.erase(name.get());
  co_return Result<>();
}

Task<Result<object::RecordPtr>> MemoryObjectLayer::put(Ctx&, object::PutSpec spec, net::BodySource& body) {
  CO_TRY(bucket, find(spec.bucket));
  const auto current = bucket->objects.find(spec.key.get());
  const VersionRecord* held = current == bucket->objects.end() ? nullptr : current->second.record.get();
  CO_TRY_VOID(object::check_write(spec.conditions, held));  // before the body is asked for
  CO_TRY(data, co_await receive(body, spec.expect));
  VersionRecord record;
  record.etag = hex(digest(DigestKind::md5, data));
  record.checksum_algorithm =
      spec.expect.algorithm == ChecksumAlgorithm::none ? ChecksumAlgorithm::crc64nvme : spec.expect.algorithm;
  record.checksum = checksum_of(record.checksum_algorithm, data);
  describe(record, std::move(spec.attributes));
  CO_TRY(again, find(spec.bucket));
  co_return store(*again, spec.key.get(), spec.conditions, std::move(record), std::move(data));
}

Task<Result<std::unique_ptr<object::OpenObject>>> MemoryObjectLayer::get(Ctx&, BucketName bucket,
                                                                         ObjectKey key, bool) {
  CO_TRY(object, find_object(bucket, key));
  co_return std::make_unique<MemoryOpenObject>(std::move(object), fail_reads_after_);
}

Task<Result<object::RecordPtr>> MemoryObjectLayer::copy(Ctx&, object::CopySpec spec) {
  CO_TRY(source, find_object(spec.source_bucket, spec.source_key));
  CO_TRY_VOID(object::check_source(spec.source_conditions, *source.record));
  CO_TRY(bucket, find(spec.bucket));
  VersionRecord record = *source.record;
  object::ObjectAttributes attributes = std::move(spec.attributes);
  if (spec.metadata == object::Directive::copy) {
    attributes.headers = record.headers;
    attributes.user_metadata = record.user_metadata;
  }
  if (spec.tagging == object::Directive::copy) attributes.tags = record.tags;
  describe(record, std::move(attributes));
  record.upload_id.clear();
  record.parts.clear();
  record.etag = hex(digest(DigestKind::md5, *source.data));
  if (spec.algorithm != ChecksumAlgorithm::none) record.checksum_algorithm = spec.algorithm;
  record.checksum_type = ChecksumType::full_object;
  record.checksum = checksum_of(record.checksum_algorithm, *source.data);
  co_return store(*bucket, spec.key.get(), spec.conditions, std::move(record), *source.data);
}

Task<Result<>> MemoryObjectLayer::erase(Ctx&, object::DeleteSpec spec) {
  CO_TRY(bucket, find(spec.bucket));
  const auto current = bucket->objects.find(spec.key.get());
  const VersionRecord* held = current == bucket->objects.end() ? nullptr : current->second.record.get();
  CO_TRY_VOID(object::check_write(spec.conditions, held));
  if (held != nullptr) bucket->objects.erase(current);
  co_return Result<>();
}

Task<std::vector<Result<>>> MemoryObjectLayer::erase_many(Ctx& ctx, std::vector<object::DeleteSpec> specs) {
  std::vector<Result<>> out;
  for (object::DeleteSpec& spec : specs) out.push_back(co_await erase(ctx, std::move(spec)));
  co_return out;
}

Task<Result<object::UploadInfo>> MemoryObjectLayer::create_upload(Ctx&, object::UploadSpec spec) {
  CO_TRY(bucket, find(spec.bucket));
  object::UploadInfo info;
  info.key = spec.key.get();
  info.upload_id = "upload" + std::to_string(++uploads_made_);
  auto record = std::make_shared<VersionRecord>();
  record->kind = disk::RecordKind::upload;
  record->modified_ms = clock_.unix_ms();
  record->upload_id = info.upload_id;
  record->checksum_algorithm = spec.algorithm;
  record->checksum_type = spec.checksum_type.value_or(spec.algorithm == ChecksumAlgorithm::crc64nvme ||
                                                              spec.algorithm == ChecksumAlgorithm::none
                                                          ? ChecksumType::full_object
                                                          : ChecksumType::composite);
  describe(*record, std::move(spec.attributes));
  bucket->uploads[{info.key, info.upload_id}].record = record;
  info.record = record;
  co_return info;
}

Task<Result<PartRecord>> MemoryObjectLayer::put_part(Ctx&, object::PartSpec spec, net::BodySource& body) {
  CO_TRY(upload, find_upload(spec.bucket, spec.key, spec.upload_id));
  const ChecksumAlgorithm chosen = upload->record->checksum_algorithm;
  if (chosen != ChecksumAlgorithm::none && spec.expect.algorithm != ChecksumAlgorithm::none &&
      chosen != spec.expect.algorithm) {
    co_return fail(Errc::invalid_argument, "another checksum algorithm than the upload's");
  }
  CO_TRY(data, co_await receive(body, spec.expect));
  Part part;
  part.record.number = spec.number;
  part.record.size = data.size();
  part.record.md5 = digest(DigestKind::md5, data);
  part.record.checksum =
      checksum_of(chosen == ChecksumAlgorithm::none ? ChecksumAlgorithm::crc64nvme : chosen, data);
  part.record.modified_ms = clock_.unix_ms();
  part.data = std::move(data);
  upload->parts[spec.number] = part;
  co_return part.record;
}

Task<Result<PartRecord>> MemoryObjectLayer::copy_part(Ctx&, object::PartCopySpec spec) {
  CO_TRY(source, find_object(spec.source_bucket, spec.source_key));
  CO_TRY_VOID(object::check_source(spec.source_conditions, *source.record));
  CO_TRY(upload, find_upload(spec.bucket, spec.key, spec.upload_id));
  const ByteRange range = spec.source_range.value_or(ByteRange{0, source.data->size()});
  if (range.end > source.data->size()) co_return fail(Errc::invalid_range);
  Part part;
  part.data = source.data->substr(range.begin, range.size());
  part.record.number = spec.number;
  part.record.size = part.data.size();
  part.record.md5 = digest(DigestKind::md5, part.data);
  part.record.modified_ms = clock_.unix_ms();
  upload->parts[spec.number] = part;
  co_return part.record;
}

Task<Result<object::RecordPtr>> MemoryObjectLayer::upload(Ctx&, BucketName bucket, ObjectKey key,
                                                          std::string upload_id) {
  CO_TRY(found, find_upload(bucket, key, upload_id));
  co_return object::RecordPtr(found->record);
}

Task<Result<object::RecordPtr>> MemoryObjectLayer::complete_upload(Ctx&, object::CompleteSpec spec) {
  CO_TRY(bucket, find(spec.bucket));
  const auto done = bucket->objects.find(spec.key.get());
  if (done != bucket->objects.end() && done->second.record->upload_id == spec.upload_id) {
    co_return done->second.record;
  }
  CO_TRY(upload, find_upload(spec.bucket, spec.key, spec.upload_id));
  VersionRecord record = *upload->record;
  record.kind = disk::RecordKind::object;
  std::string data;
  std::string md5s;
  for (std::size_t i = 0; i < spec.parts.size(); ++i) {
    const auto part = upload->parts.find(spec.parts[i].number);
    if (part == upload->parts.end() || hex(part->second.record.md5) != spec.parts[i].etag) {
      co_return fail(Errc::invalid_part);
    }
    if (spec.parts[i].checksum && *spec.parts[i].checksum != part->second.record.checksum) {
      co_return fail(Errc::invalid_part);
    }
    if (i + 1 < spec.parts.size() && part->second.data.size() < kMinPartBytes)
      co_return fail(Errc::part_too_small);
    data += part->second.data;
    md5s += part->second.record.md5;
    record.parts.push_back(part->second.record);
  }
  if (spec.object_size && *spec.object_size != data.size()) {
    co_return fail(Errc::invalid_argument, "the parts are not as large as x-amz-mp-object-size says");
  }
  record.etag = hex(digest(DigestKind::md5, md5s)) + "-" + std::to_string(spec.parts.size());
  if (record.checksum_algorithm == ChecksumAlgorithm::none)
    record.checksum_algorithm = ChecksumAlgorithm::crc64nvme;
  std::string checksums;
  for (const PartRecord& part : record.parts) checksums += part.checksum;
  record.checksum = checksum_of(record.checksum_algorithm,
                                record.checksum_type == ChecksumType::composite ? checksums : data);
  if (spec.checksum && *spec.checksum != record.checksum) co_return fail(Errc::bad_digest);
  CO_TRY(stored, store(*bucket, spec.key.get(), spec.conditions, std::move(record), std::move(data)));
  bucket->uploads.erase({spec.key.get(), spec.upload_id});
  co_return std::move(stored);
}

Task<Result<>> MemoryObjectLayer::abort_upload(Ctx&, BucketName bucket, ObjectKey key,
                                               std::string upload_id) {
  CO_TRY_VOID(find_upload(bucket, key, upload_id));
  buckets_[bucket.get()].uploads.erase({key.get(), upload_id});
  co_return Result<>();
}

Task<Result<object::PartsPage>> MemoryObjectLayer::list_parts(Ctx&, BucketName bucket, ObjectKey key,
                                                              std::string upload_id, std::uint32_t after,
                                                              std::size_t max_parts) {
  CO_TRY(upload, find_upload(bucket, key, upload_id));
  object::PartsPage page;
  page.upload = upload->record;
  for (const auto& [number, part] : upload->parts) {
    if (number <= after) continue;
    if (page.parts.size() == max_parts) {
      page.truncated = true;
      break;
    }
    page.parts.push_back(part.record);
    page.next_marker = number;
  }
  co_return page;
}

Task<Result<object::UploadsPage>> MemoryObjectLayer::list_uploads(Ctx&, object::UploadsQuery query) {
  CO_TRY(bucket, find(query.bucket));
  object::UploadsPage page;
  std::map<std::pair<std::string, std::string>, Upload> rest;
  for (const auto& [id, upload] : bucket->uploads) {
    const bool before = id.first < query.key_marker ||
                        (id.first == query.key_marker &&
                         (query.upload_id_marker.empty() || id.second <= query.upload_id_marker));
    if (query.key_marker.empty() || !before) rest.emplace(id, upload);
  }
  const auto key_of = [](const auto& entry) -> const std::string& { return entry.first.first; };
  const auto take = [&page](const auto& entry) {
    page.uploads.push_back({entry.first.first, entry.first.second, entry.second.record});
    page.next_upload_id_marker = entry.first.second;
  };
  page_of(rest, query.prefix, query.delimiter, query.max_uploads, key_of, take, page.common_prefixes,
          page.truncated, page.next_key_marker, "");
  co_return page;
}

Task<Result<object::ObjectsPage>> MemoryObjectLayer::list(Ctx&, object::ListQuery query) {
  CO_TRY(bucket, find(query.bucket));
  object::ObjectsPage page;
  const auto key_of = [](const auto& entry) -> const std::string& { return entry.first; };
  const auto take = [&page](const auto& entry) {
    page.objects.push_back({entry.first, entry.second.record});
  };
  page_of(bucket->objects, query.prefix, query.delimiter, query.max_keys, key_of, take, page.common_prefixes,
          page.truncated, page.next, query.start_after);
  co_return page;
}

}  // namespace ostraka::s3api
