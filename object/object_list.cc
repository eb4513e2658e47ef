// Listing of objects and uploads.
#include "object/erasure_object_layer.h"
#include "object/limits.h"

namespace ostraka::object {

Task<Result<ObjectsPage>> ErasureObjectLayer::list(Ctx& ctx, ListQuery query) {
  ObjectsPage page;
  CO_TRY(bucket, deps_.buckets.find(query.bucket));
  ScanQuery scan;
  scan.bucket = bucket->info.id;
  scan.prefix = std::move(query.prefix);
  scan.delimiter = std::move(query.delimiter);
  scan.max = std::min(query.max_keys, kMaxListKeys);
  if (scan.max == 0 || !begin_after(scan, query.start_after)) co_return page;
  CO_TRY(found, co_await lister_.scan(ctx, std::move(scan)));
  page.truncated = found.more;
  if (!found.entries.empty()) page.next = found.entries.back().key;
  for (auto& entry : found.entries) {
    if (entry.common_prefix)
      page.common_prefixes.push_back(std::move(entry.key));
    else
      page.objects.push_back(ListedObject{std::move(entry.key), std::move(entry.record)});
  }
  co_return page;
}

Task<Result<UploadsPage>> ErasureObjectLayer::list_uploads(Ctx& ctx, UploadsQuery query) {
  UploadsPage page;
  CO_TRY(bucket, deps_.buckets.find(query.bucket));
  ScanQuery scan;
  scan.bucket = bucket->info.id;
  scan.space = disk::KeySpace::upload;
  scan.prefix = std::move(query.prefix);
  scan.delimiter = std::move(query.delimiter);
  scan.max = std::min(query.max_uploads, kMaxListKeys);
  if (scan.max == 0 || !begin_after(scan, query.key_marker)) co_return page;
  if (scan.after_start && !query.upload_id_marker.empty()) {
    scan.start_sub = std::move(query.upload_id_marker);
  } else if (scan.after_start) {
    // Without a marker inside of the key, all of its uploads are behind us.
    scan.start.push_back('\0');
    scan.after_start = false;
  }
  CO_TRY(found, co_await lister_.scan(ctx, std::move(scan)));
  page.truncated = found.more;
  if (!found.entries.empty()) {
    page.next_key_marker = found.entries.back().key;
    page.next_upload_id_marker = found.entries.back().sub;
  }
  for (auto& entry : found.entries) {
    if (entry.common_prefix) {
      page.common_prefixes.push_back(std::move(entry.key));
      continue;
    }
    UploadInfo info;
    info.key = std::move(entry.key);
    info.upload_id = std::move(entry.sub);
    info.record = std::move(entry.record);
    page.uploads.push_back(std::move(info));
  }
  co_return page;
}

}  // namespace ostraka::object
