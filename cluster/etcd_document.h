// The value of a control document in etcd (FORMAT.md): its content, and the mark of the change that wrote it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ostraka::cluster {

struct EtcdDocument {
  std::string mark;  // 16 hexadecimal digits
  std::string content;
};
std::string encode_etcd_document(std::string_view mark, std::string_view content);
// name: for the message. Errors: malformed, unsupported_version, too_large.
Result<EtcdDocument> decode_etcd_document(std::string_view name, std::string_view value);

}  // namespace ostraka::cluster
