// PostObject: the upload of a browser's form. Its authentication is among the fields.
#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "iam/post_policy.h"
#include "net/xml_writer.h"
#include "runtime/shard.h"
#include "s3api/authorisation.h"
#include "s3api/checksum_headers.h"
#include "s3api/form_reader.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"
#include "s3api/xml_requests.h"

namespace ostraka::s3api {

namespace {

// The name after the last slash or backslash: some browsers send the whole path.
std::string_view base_name(std::string_view filename) noexcept {
  const std::size_t slash = filename.find_last_of("/\\");
  return slash == std::string_view::npos ? filename : filename.substr(slash + 1);
}

void replace_filename(std::string& text, std::string_view filename) {
  constexpr std::string_view kVariable = "${filename}";
  for (std::size_t at = text.find(kVariable); at != std::string::npos;
       at = text.find(kVariable, at + filename.size())) {
    text.replace(at, kVariable.size(), filename);
  }
}

// The fields as the policy sees them: with the file's name in place, and the bucket of the request.
net::Headers policy_fields(const FormReader& form, const net::Headers& sent, const std::string& bucket) {
  net::Headers out;
  for (const auto& [name, value] : sent.all()) {
    std::string text = value;
    replace_filename(text, base_name(form.filename()));
    out.add(name, std::move(text));
  }
  out.set("bucket", bucket);  // where the file goes; a field of that name does not decide it
  return out;
}

S3Result<> check_size(std::uint64_t size, const iam::ContentLengthRange& allowed) {
  if (size < allowed.min) {
    return refuse(S3Error(error::kEntityTooSmall)
                      .with("ProposedSize", std::to_string(size))
                      .with("MinSizeAllowed", std::to_string(allowed.min)));
  }
  const std::uint64_t max = std::min(allowed.max, kMaxPutBytes);
  if (size > max) {
    return refuse(S3Error(error::kEntityTooLarge)
                      .with("ProposedSize", std::to_string(size))
                      .with("MaxSizeAllowed", std::to_string(max)));
  }
  return {};
}

S3Result<> authorise_form(const Call& call, const net::Headers& fields, std::uint64_t file_size) {
  const auto who = call.verifier.verify_form(fields);
  if (!who) return refuse(from_auth_failure(who.error()));
  S3_TRY_VOID(authorise(who->principal));
  const auto allowed = iam::check_post_policy(fields.get("policy"), fields, call.ctx.shard.clock().unix_ms());
  if (!allowed) return refuse(from_auth_failure(allowed.error()));
  return check_size(file_size, *allowed);
}

S3Result<object::PutSpec> read_put(const Call& call, const net::Headers& fields, std::uint64_t file_size) {
  object::PutSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = ObjectKey(std::string(fields.get("key")));
  if (spec.key.get().empty()) {
    return refuse_argument(
        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the "
        "fields.",
        "key", "");
  }
  S3_TRY_VOID(check_key(spec.key.get()));
  net::Headers headers = fields;
  if (const std::string* acl = fields.find("acl")) headers.add("x-amz-acl", *acl);
  S3_TRY(attributes, read_attributes(headers));
  spec.attributes = std::move(attributes);
  if (const std::string* tagging = fields.find("tagging")) {
    S3_TRY(tags, parse_tagging(*tagging));
    spec.attributes.tags = std::move(tags);
  }
  spec.expect.size = file_size;
  S3_TRY(md5, read_content_md5(headers));
  spec.expect.md5 = std::move(md5);
  S3_TRY(claim, read_checksum_claim(headers));
  spec.expect.algorithm = claim.algorithm;
  spec.expect.checksum = std::move(claim.value);
  return spec;
}

std::string post_response(const Call& call, const std::string& key, const std::string& location,
                          const std::string& etag) {
  net::XmlWriter xml;
  xml.open("PostResponse").element("Location", location).element("Bucket", call.uri.bucket.get());
  return xml.element("Key", key).element("ETag", quoted(etag)).close("PostResponse").take();
}

std::string redirect_target(const Call& call, std::string url, const std::string& key,
                            const std::string& etag) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += "bucket=" + percent_encode(call.uri.bucket.get(), Slash::encode);
  url += "&key=" + percent_encode(key, Slash::encode);
  return url + "&etag=" + percent_encode(quoted(etag), Slash::encode);
}

bool is_web_address(std::string_view text) noexcept {
  const auto plain = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; };
  return (text.starts_with("http://") || text.starts_with("https://")) &&
         std::all_of(text.begin(), text.end(), plain);
}

}  // namespace

OperationResult post_object(Call& call) {
  const auto boundary = form_boundary(call.headers().get("content-type"));
  if (!boundary) {
    co_return refuse(
        S3Error(error::kMalformedPostRequest, "The request is not multipart/form-data with a boundary."));
  }
  if (!call.payload.size()) co_return refuse(error::kMissingContentLength);
  S3_CO_TRY_VOID(call.find_bucket());
  FormReader form(call.payload.source(), *boundary, *call.payload.size());
  auto read = co_await form.read_fields();
  if (!read) co_return refuse(call.payload.explain(std::move(read).error()));

  const net::Headers fields = policy_fields(form, form.fields(), call.bucket());
  S3_CO_TRY_VOID(authorise_form(call, fields, form.file_size()));
  S3_CO_TRY(spec, read_put(call, fields, form.file_size()));
  const std::string key = spec.key.get();
  auto stored = co_await call.objects.put(call.ctx, std::move(spec), form);
  if (!stored) {
    if (stored.failed_with(Errc::malformed)) co_return refuse(error::kMalformedPostRequest);
    co_return refuse(call.payload.explain(S3Error(std::move(stored).error())));
  }

  const std::string& etag = (*stored)->etag;
  const std::string location = call.location() + percent_encode(key, Slash::keep);
  const std::string* redirect = fields.find("success_action_redirect");
  if (redirect == nullptr) redirect = fields.find("redirect");
  const std::string_view wanted = fields.get("success_action_status");
  net::ResponseHead head;
  std::string body;
  head.headers.add("ETag", quoted(etag));
  if (redirect != nullptr && is_web_address(*redirect)) {
    head.status = 303;
    head.headers.add("Location", redirect_target(call, *redirect, key, etag));
  } else {
    head.status = wanted == "200" ? 200 : wanted == "201" ? 201 : 204;
    head.headers.add("Location", location);
    if (head.status == 201) {
      head.headers.add("Content-Type", "application/xml");
      body = post_response(call, key, location, etag);
    }
  }
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(body)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
