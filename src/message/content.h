// The immutable octets of a message: header section and body, lines ended by CRLF, no dot-stuffing.
// Small content travels in memory; large content stays in the spool and is read in pieces. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/id.h"

namespace mansio {

/// What is known of the octets without reading them again. Stored with the message.
struct ContentFacts {
  std::uint64_t size = 0;          ///< octets
  std::uint32_t checksum = 0;      ///< CRC32C over all of them; checked at every load
  std::uint32_t header_size = 0;   ///< octets up to and including the empty line; size if there is none
  bool has_8bit_header = false;
  bool has_8bit_body = false;
  std::uint32_t longest_line = 0;  ///< octets without CRLF
  std::string subject;             ///< first 200 octets of the first Subject field, unfolded, raw
  friend bool operator==(const ContentFacts&, const ContentFacts&) = default;
};

/// Content has an identity of its own, so that messages can share it (later).
struct Content {
  QueueId id;
  ContentFacts facts;
  /// All octets, or null: read them through the spool.
  std::shared_ptr<const std::string> octets;
};

/// Computes ContentFacts piece by piece. Feed every octet in order, then call finish().
class ContentScanner {
 public:
  void feed(std::string_view octets);
  ContentFacts finish();
  /// Number of `Received` fields seen so far (loop detection, RFC 5321 §6.3).
  std::uint32_t received_fields() const { return received_fields_; }
  std::uint64_t header_lines() const { return header_lines_; }
  bool in_header() const { return in_header_; }
  const ContentFacts& so_far() const { return facts_; }

 private:
  void count(std::string_view piece);
  void end_line();

  ContentFacts facts_;
  bool in_header_ = true;
  bool field_is_subject_ = false;
  std::string line_start_;          // first octets of the current header line
  std::string subject_line_;
  std::uint32_t line_length_ = 0;
  bool last_was_cr_ = false;
  bool subject_done_ = false;
  std::uint32_t received_fields_ = 0;
  std::uint64_t header_lines_ = 0;
};

}  // namespace mansio
