#include "tests/unit/s3api/case_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::s3api {

namespace {

using Variables = std::map<std::string, std::string>;

Sign parse_sign(const std::string& word) {
  if (word == "header") return Sign::header;
  if (word == "presign") return Sign::presign;
  if (word == "anonymous") return Sign::anonymous;
  if (word == "streaming") return Sign::streaming;
  if (word == "streaming_trailer") return Sign::streaming_trailer;
  if (word == "unsigned_trailer") return Sign::unsigned_trailer;
  ADD_FAILURE() << "no such way to sign: " << word;
  return Sign::header;
}

void read_directive(const std::string& text, Exchange& exchange, bool& crlf) {
  std::istringstream in(text);
  std::string name;
  in >> name;
  TestRequest& request = exchange.request;
  if (name == "@sign") {
    std::string word;
    in >> word;
    request.sign = parse_sign(word);
  } else if (name == "@host") {
    in >> request.host;
  } else if (name == "@repeat") {
    std::size_t count = 0;
    char c = 0;
    in >> count >> c;
    request.body.assign(count, c);
  } else if (name == "@crlf") {
    crlf = true;
  } else if (name == "@md5") {
    exchange.wants_md5 = true;
  } else if (name == "@no-length") {
    request.send_length = false;
  } else if (name == "@trailer") {
    in >> request.trailer;
  } else {
    ADD_FAILURE() << "no such directive: " << name;
  }
}

// The text of a line behind its mark and one blank.
std::string behind(const std::string& line, std::size_t mark) {
  return line.size() > mark + 1 ? line.substr(mark + 1) : std::string();
}

class Parser {
 public:
  std::vector<Conversation> parse(std::istream& in) {
    std::string line;
    for (number_ = 1; std::getline(in, line); ++number_) take(line);
    end_body();
    return std::move(out_);
  }

 private:
  enum class At { nowhere, request_head, request_body, answer_head, answer_body };

  Exchange& current() { return out_.back().exchanges.back(); }

  void take(const std::string& line) {
    if (line.starts_with("### ")) {
      end_body();
      at_ = At::nowhere;
      out_.push_back({.name = line.substr(4), .line = number_, .exchanges = {}});
    } else if (line.starts_with(">")) {
      take_request(line);
    } else if (line.starts_with("<< ")) {
      current().captures.push_back(line.substr(3));
    } else if (line.starts_with("<")) {
      take_answer(line);
    } else if (!line.empty() && !line.starts_with("#")) {
      ADD_FAILURE() << "line " << number_ << " has no mark: " << line;
    }
  }

  void take_request(const std::string& line) {
    const std::string text = behind(line, 1);
    if (at_ != At::request_head && at_ != At::request_body) {
      Exchange exchange;
      exchange.line = number_;
      std::istringstream in(text);
      in >> exchange.request.method >> exchange.request.target;
      out_.back().exchanges.push_back(std::move(exchange));
      at_ = At::request_head;
      crlf_ = has_body_ = false;
    } else if (at_ == At::request_head && text.empty()) {
      at_ = At::request_body;
    } else if (at_ == At::request_head && text.starts_with('@')) {
      read_directive(text, current(), crlf_);
    } else if (at_ == At::request_head) {
      const std::size_t colon = text.find(':');
      current().request.headers.add(text.substr(0, colon), std::string(trim(text.substr(colon + 1))));
    } else {
      std::string& body = current().request.body;
      if (has_body_) body += crlf_ ? "\r\n" : "\n";
      body += text;
      has_body_ = true;
    }
  }

  void take_answer(const std::string& line) {
    end_body();
    const std::string text = behind(line, 1);
    if (at_ != At::answer_head && at_ != At::answer_body) {
      current().status = static_cast<unsigned>(std::stoul(text));
      at_ = At::answer_head;
    } else if (at_ == At::answer_head && text.empty()) {
      at_ = At::answer_body;
    } else if (at_ == At::answer_body) {
      current().body.push_back(text);
    } else if (text.starts_with('!')) {
      current().absent_headers.push_back(text.substr(1));
    } else {
      const std::size_t colon = text.find(':');
      current().headers.emplace_back(text.substr(0, colon), std::string(trim(text.substr(colon + 1))));
    }
  }

  void end_body() {
    if (at_ == At::request_body && crlf_) current().request.body += "\r\n";
    if (at_ == At::request_body || at_ == At::request_head) at_ = At::nowhere;
  }

  std::vector<Conversation> out_;
  At at_ = At::nowhere;
  bool crlf_ = false, has_body_ = false;
  int number_ = 0;
};

void substitute(std::string& text, const Variables& variables) {
  for (const auto& [name, value] : variables) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
}

void check_answer(const Exchange& exchange, const TestResponse& answer, const Variables& variables) {
  EXPECT_EQ(answer.status, exchange.status) << answer.body;
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.headers.get("x-amz-request-id"), "REQUEST1");
  for (const auto& [name, value] : exchange.headers) {
    const std::string* found = answer.headers.find(name);
    EXPECT_NE(found, nullptr) << "no header " << name;
    if (found != nullptr && value != "*") {
      EXPECT_EQ(*found, value) << name;
    }
  }
  for (const std::string& name : exchange.absent_headers)
    EXPECT_EQ(answer.headers.find(name), nullptr) << name;
  for (std::string text : exchange.body) {
    substitute(text, variables);
    if (text.starts_with('=')) {
      EXPECT_EQ(answer.body, text.substr(1));
    } else if (text.starts_with('!')) {
      EXPECT_EQ(answer.body.find(text.substr(1)), std::string::npos) << text << " in " << answer.body;
    } else {
      EXPECT_NE(answer.body.find(text), std::string::npos) << text << " not in " << answer.body;
    }
  }
  if (exchange.request.method == "HEAD") {
    EXPECT_EQ(answer.body, "");
  }
}

std::string element_text(const std::string& body, const std::string& name) {
  const std::size_t begin = body.find("<" + name + ">");
  const std::size_t end = body.find("</" + name + ">");
  if (begin == std::string::npos || end == std::string::npos) {
    ADD_FAILURE() << "no element " << name << " in " << body;
    return {};
  }
  return body.substr(begin + name.size() + 2, end - begin - name.size() - 2);
}

}  // namespace

std::vector<Conversation> read_case_file(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return Parser().parse(in);
}

void run_conversation(const std::string& path, const Conversation& conversation) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  Variables variables;
  for (const Exchange& exchange : conversation.exchanges) {
    SCOPED_TRACE(path + ":" + std::to_string(exchange.line) + " (" + conversation.name + ")");
    TestRequest request = exchange.request;
    substitute(request.target, variables);
    substitute(request.body, variables);
    if (exchange.wants_md5) request.headers.add("Content-MD5", base64(digest(DigestKind::md5, request.body)));
    const TestResponse answer = bench.exchange(request);
    check_answer(exchange, answer, variables);
    for (const std::string& name : exchange.captures) variables[name] = element_text(answer.body, name);
  }
}

}  // namespace ostraka::s3api
