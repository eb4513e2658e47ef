// multipart/form-data as a browser sends an upload: fields, then one file, read as it streams. Source: RFC
// 7578, RFC 2046 5.1, and the S3 API reference, "Browser-based uploads using POST".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/service.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// The boundary of a Content-Type of multipart/form-data; nullopt when it is none.
std::optional<std::string> form_boundary(std::string_view content_type);

// Not thread safe. As a BodySource it is the content of the file. The file's size has to be known before its
// last byte is here: a form larger than kMaxBufferedFormBytes must therefore end with the file, in
// "--boundary--" and a line end.
class FormReader final : public net::BodySource {
 public:
  // inner must outlive it; total_bytes: of the whole body.
  FormReader(net::BodySource& inner, std::string_view boundary, std::uint64_t total_bytes);

  // Reads up to the file's content. Errors: MalformedPOSTRequest, MaxPostPreDataLengthExceededError,
  // IncorrectNumberOfFilesInPostRequest (there is no file), IncompleteBody, and those of inner.
  Task<S3Result<>> read_fields();

  // After read_fields():
  net::Headers& fields() noexcept { return fields_; }  // names as sent
  const std::string& filename() const noexcept { return filename_; }
  std::uint64_t file_size() const noexcept { return file_size_; }

  // The file. Errors: malformed when its end is not where file_size says, incomplete_body, and those of
  // inner.
  Task<Result<std::size_t>> read(MutableByteSpan out) override;

 private:
  struct Part {
    std::string name;
    std::optional<std::string> filename;
  };
  Task<S3Result<bool>> refill(std::size_t bytes);  // appends up to that many to buffer_; false at the end
  Task<S3Result<std::size_t>> find(std::string_view what);
  Task<S3Result<>> measure_file();
  Task<Result<>> check_end();
  static std::optional<Part> parse_part_headers(std::string_view headers);

  net::BodySource& inner_;
  const std::string delimiter_;  // "\r\n--boundary"
  const std::uint64_t total_;
  std::uint64_t received_ = 0;
  std::string buffer_;  // received, not yet consumed
  net::Headers fields_;
  std::string filename_;
  std::uint64_t file_size_ = 0;
  std::uint64_t given_ = 0;  // bytes of the file handed out
  std::string seam_;         // the last of them, in case the delimiter begins there
};

}  // namespace ostraka::s3api
