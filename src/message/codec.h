// Reading and writing of stored values: fixed little-endian integers, varints and length-prefixed
// strings, never lines (docs/FORMATS.md). Readers never trust a length. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "message/message.h"

namespace mansio {

class Encoder {
 public:
  Encoder() = default;

  /// Goes on behind `out`; take it back with octets().
  explicit Encoder(std::string out) : out_(std::move(out)) {}

  void u8(std::uint8_t value);
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void varint(std::uint64_t value);

  void boolean(bool value) { u8(value ? 1 : 0); }

  void string(std::string_view value);  ///< varint length, octets
  void raw(std::string_view value);
  void id(const QueueId& value);
  void time(Time value);

  const std::string& octets() const& { return out_; }

  std::string octets() && { return std::move(out_); }

  std::size_t size() const { return out_.size(); }

 private:
  std::string out_;
};

/// After any short or wrong read ok() is false and further reads give zeros and empty strings.
class Decoder {
 public:
  explicit Decoder(std::string_view octets) : in_(octets) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  std::uint64_t varint();
  bool boolean();  ///< anything but 0 and 1 is an error
  std::string string();
  std::string_view raw(std::size_t size);
  QueueId id();
  Time time();
  /// A varint that counts things of at least one octet each: never more than what is left.
  std::size_t count();

  bool ok() const { return ok_; }

  bool at_end() const { return in_.empty(); }

  std::size_t left() const { return in_.size(); }

  void fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  std::string_view in_;
  bool ok_ = true;
};

/// Versioned encodings; decode returns false and leaves the decoder failed on anything unexpected.
void encode(Encoder& out, const Message& message);  ///< without content octets
bool decode(Decoder& in, Message& message);
void encode(Encoder& out, const RecipientStatus& status);
bool decode(Decoder& in, RecipientStatus& status);
void encode(Encoder& out, const Disposition& disposition);
bool decode(Decoder& in, Disposition& disposition);

}  // namespace mansio
