#include "object/multipart_store.h"

#include "base/encoding.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "erasure/upload_end.h"
#include "object/batch.h"
#include "object/limits.h"
#include "object/multipart_rules.h"
#include "object/upload_pipeline.h"

namespace ostraka::object {

using disk::PartRecord;
using disk::RecordKind;
using disk::VersionRecord;

Task<Result<std::unique_ptr<control::Lease>>> MultipartStore::lease(Ctx& ctx, const std::string& upload_id) {
  std::string name = erasure::upload_lease(upload_id);
  co_return co_await deps_.locks.acquire(ctx, std::move(name));
}

Task<Result<UploadInfo>> MultipartStore::create(Ctx& ctx, BucketPtr bucket, UploadSpec spec) {
  CO_TRY(type, resolve_checksum_type(spec.algorithm, spec.checksum_type));
  UploadInfo info;
  info.key = spec.key.get();
  info.upload_id = make_upload_id(deps_.hlc.next(deps_.clock.unix_ms()), deps_.random);
  const erasure::Geometry geometry = deps_.sets.geometry(spec.attributes.storage_class);
  erasure::CommitSpec commit;
  commit.ref = deps_.sets.upload(bucket->info.id, spec.key, info.upload_id);
  commit.record.kind = RecordKind::upload;
  commit.record.data_shards = geometry.data_shards;
  commit.record.parity_shards = geometry.parity_shards;
  commit.record.modified_ms = deps_.clock.unix_ms();
  commit.record.storage_class = std::move(spec.attributes.storage_class);
  commit.record.checksum_algorithm = spec.algorithm;
  commit.record.checksum_type = type;
  commit.record.headers = std::move(spec.attributes.headers);
  commit.record.user_metadata = std::move(spec.attributes.user_metadata);
  commit.record.tags = std::move(spec.attributes.tags);
  commit.record.upload_id = info.upload_id;
  CO_TRY(pass, bucket->gate->enter());
  CO_TRY(committed, co_await deps_.sets.of(commit.ref).commit(ctx, std::move(commit)));
  info.record = std::make_shared<const VersionRecord>(std::move(committed.record));
  co_return info;
}

Task<Result<RecordPtr>> MultipartStore::find(Ctx& ctx, BucketId bucket, ObjectKey key,
                                             std::string upload_id) {
  if (!is_upload_id(upload_id)) co_return fail(Errc::no_such_upload);
  const disk::ObjectRef ref = deps_.sets.upload(bucket, key, upload_id);
  auto elected = co_await deps_.sets.of(ref).read(ctx, ref, false);
  if (elected.failed_with(Errc::not_found)) co_return fail(Errc::no_such_upload);
  if (!elected) co_return tl::unexpected(std::move(elected).error());
  if (elected->record->kind != RecordKind::upload) co_return fail(Errc::no_such_upload);
  co_return elected->record;
}

Task<Result<RecordPtr>> MultipartStore::completed(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                                  const std::string& upload_id) {
  const disk::ObjectRef ref = deps_.sets.object(bucket, key);
  auto elected = co_await deps_.sets.of(ref).read(ctx, ref, false);
  if (elected.failed_with(Errc::not_found)) co_return RecordPtr{};
  if (!elected) co_return tl::unexpected(std::move(elected).error());
  if (elected->record->upload_id != upload_id) co_return RecordPtr{};
  co_return elected->record;
}

Task<Result<PartRecord>> MultipartStore::put_part(Ctx& ctx, BucketPtr bucket, PartPlace place,
                                                  const BodyExpectations& expect, net::BodySource& body) {
  if (place.number < 1 || place.number > kMaxParts) co_return fail(Errc::invalid_argument, "part number");
  if (expect.size > kMaxPartBytes) co_return fail(Errc::too_large, "the part is too large");
  CO_TRY(upload, co_await find(ctx, bucket->info.id, place.key, place.upload_id));
  const bool other = expect.algorithm != ChecksumAlgorithm::none &&
                     upload->checksum_algorithm != ChecksumAlgorithm::none &&
                     expect.algorithm != upload->checksum_algorithm;
  if (other) {
    co_return fail(Errc::invalid_argument,
                   fmt::format("the upload's checksum algorithm is {}, the part's is {}",
                               to_string(upload->checksum_algorithm), to_string(expect.algorithm)));
  }
  ReceiveSpec receive;
  // Parts lie as the upload was begun, so that one version can name them all.
  receive.geometry.data_shards = upload->data_shards;
  receive.geometry.parity_shards = upload->parity_shards;
  receive.small = SmallBodies::into_files;
  receive.stored = effective_algorithm(*upload);
  const disk::ObjectRef ref = deps_.sets.part(bucket->info.id, place.key, place.upload_id, place.number);
  CO_TRY(received, co_await receive_body(ctx, deps_.sets.of(ref), receive, expect, body));
  VersionRecord record;
  record.kind = RecordKind::part;
  record.upload_id = place.upload_id;
  record.storage_class = upload->storage_class;
  record.modified_ms = deps_.clock.unix_ms();
  record.size = expect.size;
  record.etag = hex(received.digests.md5);
  record.checksum_algorithm = receive.stored;
  record.checksum = received.digests.checksum;
  PartRecord part;
  part.number = place.number;
  part.size = expect.size;
  part.md5 = std::move(received.digests.md5);
  part.checksum = std::move(received.digests.checksum);
  part.modified_ms = record.modified_ms;
  record.parts.push_back(std::move(part));
  co_return co_await commit_part(ctx, bucket, place, std::move(record), std::move(received.staged));
}

Task<Result<PartRecord>> MultipartStore::commit_part(Ctx& ctx, BucketPtr bucket, const PartPlace& place,
                                                     VersionRecord record, erasure::StagedBody staged) {
  erasure::CommitSpec commit;
  commit.ref = deps_.sets.part(bucket->info.id, place.key, place.upload_id, place.number);
  erasure::ErasureSet& set = deps_.sets.of(commit.ref);
  auto held = co_await lease(ctx, place.upload_id);
  Result<> allowed;
  if (!held) allowed = tl::unexpected(held.error());
  if (allowed) {
    const auto upload = co_await find(ctx, bucket->info.id, place.key, place.upload_id);
    if (!upload) allowed = tl::unexpected(upload.error());
  }
  if (allowed) {
    const auto done = co_await completed(ctx, bucket->info.id, place.key, place.upload_id);
    if (!done)
      allowed = tl::unexpected(done.error());
    else if (*done)
      allowed = fail(Errc::no_such_upload);
  }
  auto pass = bucket->gate->enter();
  if (allowed && !pass) allowed = tl::unexpected(pass.error());
  if (!allowed) {
    set.discard(std::move(staged));
    co_return tl::unexpected(allowed.error());
  }
  commit.record = std::move(record);
  commit.body = std::move(staged);
  fault_point("part.before_commit");
  CO_TRY(committed, co_await set.commit(ctx, std::move(commit)));
  co_return std::move(committed.record.parts.front());
}

Task<Result<std::vector<PartRecord>>> MultipartStore::parts(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                                            const std::string& upload_id, std::uint32_t after,
                                                            std::size_t max) {
  const disk::ObjectRef ref = deps_.sets.part(bucket, key, upload_id, after);
  disk::ListSpec spec;
  spec.bucket = bucket;
  spec.space = disk::KeySpace::part;
  spec.prefix = key.get();
  spec.start = key.get();
  spec.start_sub = ref.sub;
  spec.after_start = true;
  const erasure::KeyReader reader = deps_.sets.reader();
  std::vector<PartRecord> out;
  while (out.size() < max) {
    spec.max_rows = std::min(kPartListRows, max - out.size());
    CO_TRY(page, co_await deps_.sets.of(ref).list(ctx, spec, reader));
    for (auto& entry : page.entries) {
      const auto number = part_number_of(upload_id, entry.sub);
      if (entry.key != key.get() || !number) co_return out;
      if (!entry.record || entry.record->parts.size() != 1 || entry.record->parts.front().number != *number)
        co_return fail(Errc::corrupt, "a part's record does not belong to its row");
      out.push_back(entry.record->parts.front());
    }
    if (page.end) break;
    spec.start = page.resume_key;
    spec.start_sub = page.resume_sub;
  }
  co_return out;
}

Task<Result<PartsPage>> MultipartStore::list_parts(Ctx& ctx, BucketId bucket, ObjectKey key,
                                                   std::string upload_id, std::uint32_t after,
                                                   std::size_t max_parts) {
  PartsPage page;
  CO_TRY(upload, co_await find(ctx, bucket, key, upload_id));
  page.upload = std::move(upload);
  max_parts = std::min(max_parts, kMaxListKeys);
  if (max_parts == 0 || after >= kMaxParts) co_return page;
  CO_TRY(found, co_await parts(ctx, bucket, key, upload_id, after, max_parts + 1));
  page.truncated = found.size() > max_parts;
  if (page.truncated) found.resize(max_parts);
  page.parts = std::move(found);
  if (!page.parts.empty()) page.next_marker = page.parts.back().number;
  co_return page;
}

Task<Result<RecordPtr>> MultipartStore::complete(Ctx& ctx, BucketPtr bucket, CompleteSpec spec) {
  const std::string upload_id = spec.upload_id;
  const ObjectKey key = spec.key;
  if (!is_upload_id(upload_id)) co_return fail(Errc::no_such_upload);
  CO_TRY(held, co_await lease(ctx, upload_id));
  CO_TRY(done, co_await completed(ctx, bucket->info.id, key, upload_id));
  const auto upload = co_await find(ctx, bucket->info.id, key, upload_id);
  if (!upload && !upload.failed_with(Errc::no_such_upload)) co_return tl::unexpected(upload.error());
  if (!upload && !done) co_return fail(Errc::no_such_upload);
  if (!done) {
    CO_TRY(committed, co_await commit_object(ctx, bucket, std::move(spec), *upload));
    fault_point("complete.committed");
    done = std::move(committed);
  }
  if (upload) {
    const auto dropped = co_await drop_upload(ctx, bucket->info.id, key, upload_id);
    // It goes with the retirement of the version, too.
    if (!dropped)
      log::warn("upload row of a completed upload stays for now upload={} reason={}", upload_id,
                dropped.error().detail);
  }
  co_return done;
}

Task<Result<RecordPtr>> MultipartStore::commit_object(Ctx& ctx, BucketPtr bucket, CompleteSpec spec,
                                                      RecordPtr upload) {
  CO_TRY(there, co_await parts(ctx, bucket->info.id, spec.key, spec.upload_id, 0, kMaxParts));
  CO_TRY(record, assemble(spec, *upload, there));
  erasure::CommitSpec commit;
  commit.ref = deps_.sets.object(bucket->info.id, spec.key);
  commit.record = std::move(record);
  commit.record.upload_id = spec.upload_id;
  // The version's id is that of the end of the upload, too (disk/row_rules.h), and the upload may have been
  // begun by a node whose clock is ahead of this one's.
  commit.record.id = upload->id;
  commit.record.data_shards = upload->data_shards;
  commit.record.parity_shards = upload->parity_shards;
  commit.record.modified_ms = deps_.clock.unix_ms();
  commit.record.storage_class = upload->storage_class;
  commit.record.headers = upload->headers;
  commit.record.user_metadata = upload->user_metadata;
  commit.record.tags = upload->tags;
  commit.conditional = spec.conditions.any();
  if (commit.conditional) {
    commit.precondition = [conditions = spec.conditions](const VersionRecord* current) {
      return check_write(conditions, current);
    };
  }
  CO_TRY(pass, bucket->gate->enter());
  CO_TRY(committed, co_await deps_.sets.of(commit.ref).commit(ctx, std::move(commit)));
  co_return std::make_shared<const VersionRecord>(std::move(committed.record));
}

Task<Result<>> MultipartStore::drop_upload(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                           const std::string& upload_id) {
  const disk::ObjectRef ref = deps_.sets.upload(bucket, key, upload_id);
  CO_TRY_VOID(co_await deps_.sets.of(ref).erase(ctx, ref, false, nullptr));
  co_return Result<>{};
}

namespace {

class ErasePartsBatch final : public Batch {
 public:
  ErasePartsBatch(const ObjectSets& sets, Ctx ctx, std::vector<disk::ObjectRef> refs)
      : sets_(sets), ctx_(std::move(ctx)), refs_(std::move(refs)) {}
  std::size_t size() const noexcept override { return refs_.size(); }
  Task<> run(std::size_t index) override {
    if (!result) co_return;
    const disk::ObjectRef ref = refs_[index];
    const auto erased = co_await sets_.of(ref).erase(ctx_, ref, false, nullptr);
    fault_point("abort.part_erased");
    if (!erased && result) result = tl::unexpected(erased.error());
  }
  Result<> result;  // the first error

 private:
  const ObjectSets& sets_;
  Ctx ctx_;
  const std::vector<disk::ObjectRef> refs_;
};

}  // namespace

Task<Result<>> MultipartStore::erase_parts(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                           const std::string& upload_id) {
  CO_TRY(there, co_await parts(ctx, bucket, key, upload_id, 0, kMaxParts));
  std::vector<disk::ObjectRef> refs;
  for (const PartRecord& part : there) refs.push_back(deps_.sets.part(bucket, key, upload_id, part.number));
  auto batch = std::make_shared<ErasePartsBatch>(deps_.sets, ctx, std::move(refs));
  const bool ran = co_await run_batch(ctx, deps_.background, batch, kEraseConcurrency);
  if (!ran) co_return fail(Errc::closed, "shutting down");
  co_return batch->result;
}

Task<Result<>> MultipartStore::abort(Ctx& ctx, BucketId bucket, ObjectKey key, std::string upload_id) {
  if (!is_upload_id(upload_id)) co_return fail(Errc::no_such_upload);
  CO_TRY(held, co_await lease(ctx, upload_id));
  CO_TRY_VOID(co_await find(ctx, bucket, key, upload_id));
  CO_TRY(done, co_await completed(ctx, bucket, key, upload_id));
  if (!done) {
    // Parts first: what a crash leaves is an upload that can be aborted again.
    CO_TRY_VOID(co_await erase_parts(ctx, bucket, key, upload_id));
    fault_point("abort.parts_erased");
  }
  CO_TRY_VOID(co_await drop_upload(ctx, bucket, key, upload_id));
  if (done) co_return fail(Errc::no_such_upload);
  co_return Result<>{};
}

}  // namespace ostraka::object
