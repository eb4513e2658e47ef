#include "s3api/xml_requests.h"

#include "base/encoding.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/limits.h"
#include "s3api/tags.h"
#include "s3api/xml_reader.h"

namespace ostraka::s3api {

namespace {

S3Result<DeleteObjectsRequest::Item> parse_delete_item(const XmlElement& object) {
  DeleteObjectsRequest::Item item;
  bool has_key = false;
  for (auto field = object.first_child(); field; field = field->next_sibling()) {
    std::string text = field->text();
    if (field->name() == "Key") {
      if (has_key) return refuse(error::kMalformedXml);
      has_key = true;
      item.key = std::move(text);
    } else if (field->name() == "VersionId") {
      item.version_id = std::move(text);
    } else if (field->name() == "ETag") {
      item.conditions.if_match = {parse_etag(text)};
    } else if (field->name() == "LastModifiedTime") {
      item.conditions.if_match_last_modified_ms = parse_http_date(text);
      if (!item.conditions.if_match_last_modified_ms) return refuse(error::kMalformedXml);
    } else if (field->name() == "Size") {
      item.conditions.if_match_size = parse_u64(text);
      if (!item.conditions.if_match_size) return refuse(error::kMalformedXml);
    } else {
      return refuse(error::kMalformedXml);
    }
  }
  if (!has_key) return refuse(error::kMalformedXml);
  if (item.key.empty()) return refuse(error::kUserKeyMustBeSpecified);
  return item;
}

S3Result<object::CompletePart> parse_complete_part(const XmlElement& element) {
  object::CompletePart part;
  for (auto field = element.first_child(); field; field = field->next_sibling()) {
    const std::string text = field->text();
    if (field->name() == "PartNumber") {
      const auto number = parse_u64(trim(text));
      if (!number || *number < 1 || *number > kMaxParts) return refuse(error::kMalformedXml);
      part.number = static_cast<std::uint32_t>(*number);
    } else if (field->name() == "ETag") {
      const auto etags = parse_etags(text);
      if (etags.size() == 1) part.etag = etags.front();
    } else if (field->name().starts_with("Checksum")) {
      const auto algorithm = parse_checksum_algorithm(field->name().substr(8));
      if (!algorithm) return refuse(error::kMalformedXml);
      part.algorithm = *algorithm;
      part.checksum = unbase64(trim(text));
      if (!part.checksum || part.checksum->size() != checksum_size(part.algorithm)) {
        return refuse(error::kInvalidRequest, "Value for " + std::string(field->name()) + " is invalid.");
      }
    } else {
      return refuse(error::kMalformedXml);
    }
  }
  if (part.number == 0 || part.etag.empty()) return refuse(error::kMalformedXml);
  return part;
}

}  // namespace

S3Result<CreateBucketRequest> parse_create_bucket(std::string body) {
  CreateBucketRequest out;
  if (body.empty()) return out;
  S3_TRY(document, XmlDocument::parse(std::move(body), kSmallXml));
  const XmlElement root = document.root();
  if (root.name() != "CreateBucketConfiguration") return refuse(error::kMalformedXml);
  for (auto field = root.first_child(); field; field = field->next_sibling()) {
    if (field->name() == "LocationConstraint") {
      out.location = field->text();
    } else if (field->name() == "Location" || field->name() == "Bucket" || field->name() == "Tags") {
      out.has_more = true;
    } else {
      return refuse(error::kMalformedXml);
    }
  }
  return out;
}

S3Result<DeleteObjectsRequest> parse_delete_objects(std::string body) {
  S3_TRY(document, XmlDocument::parse(std::move(body), kDeleteXml));
  const XmlElement root = document.root();
  if (root.name() != "Delete") return refuse(error::kMalformedXml);
  DeleteObjectsRequest out;
  for (auto field = root.first_child(); field; field = field->next_sibling()) {
    if (field->name() == "Quiet") {
      out.quiet = iequals(trim(field->text()), "true");
    } else if (field->name() == "Object" && out.items.size() < kMaxDeleteKeys) {
      S3_TRY(item, parse_delete_item(*field));
      out.items.push_back(std::move(item));
    } else {
      return refuse(error::kMalformedXml);
    }
  }
  if (out.items.empty()) return refuse(error::kMalformedXml);
  return out;
}

S3Result<std::vector<object::CompletePart>> parse_complete_upload(std::string body) {
  S3_TRY(document, XmlDocument::parse(std::move(body), kCompleteXml));
  const XmlElement root = document.root();
  // The API reference names the element CompleteMultipartUpload; some clients send the name of the shape.
  if (root.name() != "CompleteMultipartUpload" && root.name() != "CompletedMultipartUpload") {
    return refuse(error::kMalformedXml);
  }
  std::vector<object::CompletePart> parts;
  for (auto field = root.first_child(); field; field = field->next_sibling()) {
    if (field->name() != "Part" || parts.size() == kMaxParts) return refuse(error::kMalformedXml);
    S3_TRY(part, parse_complete_part(*field));
    parts.push_back(std::move(part));
  }
  if (parts.empty()) return refuse(error::kMalformedXml);
  return parts;
}

S3Result<disk::StringPairs> parse_tagging(std::string body) {
  S3_TRY(document, XmlDocument::parse(std::move(body), kSmallXml));
  const XmlElement root = document.root();
  const auto set = root.child("TagSet");
  if (root.name() != "Tagging" || !set) return refuse(error::kMalformedXml);
  disk::StringPairs tags;
  for (auto tag = set->first_child(); tag; tag = tag->next_sibling()) {
    if (tag->name() != "Tag" || !tag->child("Key") || !tag->child("Value"))
      return refuse(error::kMalformedXml);
    tags.emplace_back(tag->child_text("Key"), tag->child_text("Value"));
  }
  S3_TRY_VOID(check_tags(tags));
  return tags;
}

}  // namespace ostraka::s3api
