// The XML that listings of objects and of versions have in common.
#pragma once

#include "net/xml_writer.h"
#include "object/object_layer.h"
#include "s3api/call.h"
#include "s3api/list_query.h"

namespace ostraka::s3api {

std::size_t page_bytes(const object::ObjectsPage& page) noexcept;  // of the document, roughly
// MaxKeys, Delimiter, EncodingType, IsTruncated.
void write_list_head(net::XmlWriter& xml, const object::ListQuery& query, bool truncated, KeyEncoder& encode);
void write_owner(net::XmlWriter& xml, const S3Config& config);
// LastModified, ETag, Size, StorageClass.
void write_listed(net::XmlWriter& xml, const disk::VersionRecord& record);
void write_common_prefixes(net::XmlWriter& xml, const object::ObjectsPage& page, KeyEncoder& encode);

}  // namespace ostraka::s3api
