// The content of a message as the client session wants it: piece by piece, checked for length.
#pragma once

#include <memory>
#include <string>

#include "mansio/target.hpp"
#include "smtp/client.h"

namespace mansio::delivery {

/// Octets in memory.
class MemoryBody final : public smtp::BodySource {
 public:
  explicit MemoryBody(std::shared_ptr<const std::string> octets) : octets_(std::move(octets)) {}

  Task<Result<std::string_view>> next() override;

  bool lasting() const override { return true; }

 private:
  std::shared_ptr<const std::string> octets_;
  std::size_t at_ = 0;
};

/// Octets wherever they are. Fails (io_error) if there are fewer than `size`: half a message must
/// never be taken for the whole.
class ReaderBody final : public smtp::BodySource {
 public:
  ReaderBody(ContentReader& reader, std::uint64_t size) : reader_(reader), size_(size) {}

  Task<Result<std::string_view>> next() override;

 private:
  ContentReader& reader_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  std::string piece_;
};

/// The source that fits: without a copy if the octets are in memory. `reader` outlives it.
std::unique_ptr<smtp::BodySource> make_body(ContentReader& reader, std::uint64_t size);

/// All octets, for conversions; fails like ReaderBody.
Task<Result<std::shared_ptr<const std::string>>> read_all(ContentReader& reader,
                                                          std::uint64_t size);

}  // namespace mansio::delivery
