// Walks through the parts of a message as it comes in, in one pass and with little memory: an
// attacker's message of any size, nesting and number of parts costs time linear in its size and at
// most a few hundred kilobytes beyond what the visitor asks for. Only multiparts are entered; the
// message inside a message/rfc822 part is octets like any other. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/header_fields.h"

namespace mansio::dsn {

struct Part {
  std::vector<Field> fields;
  std::string type = "text/plain";  ///< lower case, without parameters
  std::string content_type;         ///< the whole field
  std::size_t depth = 0;            ///< 0: the message itself
};

class PartVisitor {
 public:
  virtual ~PartVisitor() = default;
  /// The header of a part is complete. Answers how many octets of its body to keep, encoded as they
  /// are; of a multipart that is entered nothing is kept.
  virtual std::size_t part_begins(const Part& part) = 0;
  /// The kept octets of the body with the transfer encoding undone. Not called for multiparts.
  virtual void part_ends(const Part& part, std::string body) = 0;
};

struct WalkLimits {
  std::size_t depth = 20;                   ///< multiparts inside each other
  std::size_t parts = 1000;                 ///< parts behind it are passed over
  std::size_t body = 1 << 20;               ///< octets looked at of a part, encoded
  std::size_t message_header = 256 * 1024;  ///< octets of the message's own header section
  std::size_t part_header = 32 * 1024;      ///< and of each part's
  std::size_t boundary = 256;               ///< octets; RFC 2046 §5.1.1 allows 70
};

class MimeWalker {
 public:
  /// `visitor` must outlive it.
  explicit MimeWalker(PartVisitor& visitor, WalkLimits limits = {});

  /// The next octets of the message; lines end with CRLF or LF.
  void feed(std::string_view octets);
  /// End of the message.
  void finish();

  /// Something was passed over because of a limit.
  bool truncated() const { return truncated_; }

 private:
  enum class State { header, body, between };

  void fragment(std::string_view octets, bool begins_line, bool ends_line);
  bool boundary_line(std::string_view line);
  void header_line(std::string_view line, bool begins_line, bool ends_line);
  void keep(std::string_view octets, bool ends_line);
  void begin_part();
  void begin_body();
  void end_part();

  PartVisitor& visitor_;
  const WalkLimits limits_;
  std::vector<std::string> boundaries_;  // of the multiparts around us, "--" in front
  State state_ = State::header;
  std::string line_;          // the beginning of a line whose end has not come
  bool line_broken_ = false;  // a part of this line was handed on already
  std::string header_;
  Part part_;
  std::string body_;
  std::size_t wanted_ = 0;
  std::string preamble_;  // of the outermost multipart: all there is if its boundary is wrong
  std::size_t parts_ = 0;
  bool truncated_ = false;
};

}  // namespace mansio::dsn
