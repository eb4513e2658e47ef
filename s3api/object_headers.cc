#include "s3api/object_headers.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/encoding.h"
#include "s3api/limits.h"
#include "s3api/tags.h"

namespace ostraka::s3api {

namespace {

constexpr std::string_view kMetaPrefix = "x-amz-meta-";

struct KeptHeader {
  std::string_view name;     // as stored
  std::string_view sent_as;  // in answers
  std::string_view override_parameter;
};

constexpr std::array<KeptHeader, 7> kKeptHeaders{{
    {"content-type", "Content-Type", "response-content-type"},
    {"cache-control", "Cache-Control", "response-cache-control"},
    {"content-disposition", "Content-Disposition", "response-content-disposition"},
    {"content-encoding", "Content-Encoding", "response-content-encoding"},
    {"content-language", "Content-Language", "response-content-language"},
    {"expires", "Expires", "response-expires"},
    {"x-amz-website-redirect-location", "x-amz-website-redirect-location", ""},
}};

// Classes whose objects can be read at once; the archive ones would need RestoreObject.
constexpr std::array<std::string_view, 6> kStorageClasses{"STANDARD",   "REDUCED_REDUNDANCY",  "STANDARD_IA",
                                                          "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"};

const KeptHeader* kept(std::string_view name) noexcept {
  for (const KeptHeader& header : kKeptHeaders) {
    if (iequals(header.name, name)) return &header;
  }
  return nullptr;
}

// "aws-chunked" tells how the request was sent, not what the object is.
std::string without_aws_chunked(std::string_view encodings) {
  std::string out;
  while (!encodings.empty()) {
    const std::size_t end = std::min(encodings.find(','), encodings.size());
    const std::string_view coding = trim(encodings.substr(0, end));
    encodings.remove_prefix(std::min(end + 1, encodings.size()));
    if (coding.empty() || iequals(coding, "aws-chunked")) continue;
    if (!out.empty()) out += ',';
    out += coding;
  }
  return out;
}

void keep_metadata(disk::StringPairs& metadata, std::string name, std::string_view value) {
  for (auto& [known, joined] : metadata) {
    if (known == name) {
      joined += ',';
      joined += value;
      return;
    }
  }
  metadata.emplace_back(std::move(name), std::string(value));
}

S3Result<> check_metadata_size(const disk::StringPairs& metadata) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) bytes += name.size() + value.size();
  if (bytes <= kMaxUserMetadataBytes) return {};
  S3Error error(error::kMetadataTooLarge);
  error.add("Size", std::to_string(bytes));
  error.add("MaxSizeAllowed", std::to_string(kMaxUserMetadataBytes));
  return refuse(std::move(error));
}

}  // namespace

S3Result<object::ObjectAttributes> read_attributes(const net::Headers& headers) {
  S3_TRY_VOID(refuse_unserved_headers(headers));
  object::ObjectAttributes out;
  for (const auto& [name, value] : headers.all()) {
    if (name.size() > kMetaPrefix.size() &&
        iequals(std::string_view(name).substr(0, kMetaPrefix.size()), kMetaPrefix)) {
      keep_metadata(out.user_metadata, to_lower(std::string_view(name).substr(kMetaPrefix.size())), value);
    } else if (const KeptHeader* header = kept(name)) {
      std::string text = header->name == "content-encoding" ? without_aws_chunked(value) : value;
      if (!text.empty()) out.headers.emplace_back(header->name, std::move(text));
    }
  }
  S3_TRY_VOID(check_metadata_size(out.user_metadata));
  if (const std::string* tagging = headers.find("x-amz-tagging")) {
    S3_TRY(tags, parse_tagging_header(*tagging));
    out.tags = std::move(tags);
  }
  if (const std::string* storage_class = headers.find("x-amz-storage-class")) {
    if (std::find(kStorageClasses.begin(), kStorageClasses.end(), *storage_class) == kStorageClasses.end()) {
      return refuse(S3Error(error::kInvalidStorageClass).with("StorageClassRequested", *storage_class));
    }
    if (*storage_class != "STANDARD") out.storage_class = *storage_class;
  }
  return out;
}

S3Result<> refuse_unserved_headers(const net::Headers& headers) {
  for (const auto& [name, value] : headers.all()) {
    if (name.size() < 6 || !iequals(std::string_view(name).substr(0, 6), "x-amz-")) continue;
    const std::string lower = to_lower(name);
    const std::string_view rest = std::string_view(lower).substr(6);
    if (rest.starts_with("server-side-encryption") ||
        rest.starts_with("copy-source-server-side-encryption")) {
      return refuse(S3Error(error::kNotImplemented).with("Header", lower));
    }
    if (rest.starts_with("object-lock-")) {
      return refuse(error::kInvalidRequest, "Bucket is missing Object Lock Configuration");
    }
    // The owner has full control with either of these, as without them.
    if (rest.starts_with("grant-") ||
        (rest == "acl" && value != "private" && value != "bucket-owner-full-control")) {
      return refuse(error::kAccessControlListNotSupported);
    }
  }
  return {};
}

void add_object_headers(net::Headers& out, const disk::VersionRecord& record) {
  out.add("Last-Modified", http_date(record.modified_ms));
  out.add("ETag", quoted(record.etag));
  bool has_type = false;
  for (const auto& [name, value] : record.headers) {
    const KeptHeader* header = kept(name);
    has_type = has_type || name == "content-type";
    out.add(header == nullptr ? name : std::string(header->sent_as), value);
  }
  if (!has_type) out.add("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : record.user_metadata) out.add(std::string(kMetaPrefix) + name, value);
  if (!record.storage_class.empty()) out.add("x-amz-storage-class", record.storage_class);
  if (!record.tags.empty()) out.add("x-amz-tagging-count", std::to_string(record.tags.size()));
}

void apply_response_overrides(net::Headers& out, const QueryParams& query) {
  for (const KeptHeader& header : kKeptHeaders) {
    if (header.override_parameter.empty()) continue;
    const std::string* value = query.find(header.override_parameter);
    if (value != nullptr && !value->empty()) out.set(header.sent_as, *value);
  }
}

std::string quoted(std::string_view etag) {
  std::string out;
  out.reserve(etag.size() + 2);
  out += '"';
  out += etag;
  out += '"';
  return out;
}

std::string xml_time(std::int64_t unix_ms) {
  return iso8601(unix_ms - unix_ms % 1000);
}

std::string_view storage_class_text(std::string_view stored) noexcept {
  return stored.empty() ? "STANDARD" : stored;
}

}  // namespace ostraka::s3api
