#include "dns/answer.h"

#include <gtest/gtest.h>

namespace mansio::dns {
namespace {

std::string wire(std::initializer_list<std::string> labels) {
  std::string out;
  for (const std::string& label : labels) out += static_cast<char>(label.size()) + label;
  return out + '\0';
}

std::string mx(unsigned preference, const std::string& name) {
  return std::string{static_cast<char>(preference >> 8), static_cast<char>(preference & 255)} +
         name;
}

RawAnswer found(std::vector<std::string> rdata) {
  RawAnswer raw;
  raw.status = Status::found;
  raw.rdata = std::move(rdata);
  return raw;
}

TEST(Answer, ReadsNamesOfTheWire) {
  EXPECT_EQ(name_of_wire(wire({"MX", "b", "Example"})), "mx.b.example");
  EXPECT_EQ(name_of_wire(std::string(1, '\0')), "");
}

TEST(Answer, I30_refuses_names_that_lie_about_their_length) {
  EXPECT_FALSE(name_of_wire(""));
  EXPECT_FALSE(name_of_wire("\x05mx"));
  EXPECT_FALSE(name_of_wire(wire({"a"}) + "x"));
  EXPECT_FALSE(name_of_wire("\xc0\x0c"));  // a pointer: nothing may be left of compression
  EXPECT_FALSE(
      name_of_wire("\x01"
                   "a"));
  std::string endless;
  for (int i = 0; i < 200; ++i) endless += std::string("\x01") + "a";
  EXPECT_FALSE(name_of_wire(endless + '\0'));
}

TEST(Answer, I30_names_of_more_than_253_octets_are_none) {
  const std::string label(63, 'a');
  EXPECT_TRUE(name_of_wire(wire({label, label, label, std::string(61, 'a')})));
  EXPECT_FALSE(name_of_wire(wire({label, label, label, std::string(62, 'a')})));
}

TEST(Answer, I30_odd_octets_of_a_name_are_escaped) {
  EXPECT_EQ(name_of_wire(wire({"a b", "x.y", std::string("\0", 1)})), "a\\032b.x\\046y.\\000");
  EXPECT_EQ(name_of_wire(wire({"\xff"})), "\\255");
}

TEST(Answer, ReadsMXRecordsAndLeavesOutWhatCannotBeRead) {
  const MxAnswer answer = mx_answer(found(
      {mx(258, wire({"a", "x"})), "", "\x01", mx(1, "\x09oops"), mx(0, std::string(1, '\0'))}));
  EXPECT_EQ(answer.status, Status::found);
  EXPECT_EQ(answer.records, (std::vector<MxRecord>{{258, "a.x"}, {0, ""}}));
}

TEST(Answer, I30_the_best_of_too_many_MX_records_stay) {
  std::vector<std::string> rdata;
  for (unsigned i = 0; i < 500; ++i) rdata.push_back(mx(1000 - i, wire({"h" + std::to_string(i)})));
  const MxAnswer answer = mx_answer(found(std::move(rdata)));
  ASSERT_EQ(answer.records.size(), mx_records_max);
  EXPECT_EQ(answer.records[0], (MxRecord{501, "h499"}));
}

TEST(Answer, MXRecordsThatNobodyCanReadAreStillMXRecords) {
  const MxAnswer answer = mx_answer(found({"x"}));
  EXPECT_EQ(answer.status, Status::found);
  EXPECT_TRUE(answer.records.empty());
}

TEST(Answer, ReadsAddresses) {
  const AddressAnswer v4 =
      address_answer(found({std::string("\xc0\x00\x02\x01", 4), "abc"}), Family::v4);
  EXPECT_EQ(v4.addresses, std::vector<std::string>{"192.0.2.1"});
  const std::string v6_octets("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
  EXPECT_EQ(address_answer(found({v6_octets}), Family::v6).addresses,
            std::vector<std::string>{"2001:db8::1"});
  EXPECT_EQ(address_answer(found({v6_octets}), Family::v4).status, Status::temporary);
  const std::vector<std::string> many(500, std::string("\x01\x02\x03\x04", 4));
  EXPECT_EQ(address_answer(found(many), Family::v4).addresses.size(), addresses_max);
}

TEST(Answer, F14_only_NOERROR_and_NXDOMAIN_say_something_about_a_name) {
  EXPECT_EQ(status_of(0, true), Status::found);
  EXPECT_EQ(status_of(0, false), Status::no_data);
  EXPECT_EQ(status_of(3, false), Status::no_domain);
  for (const int code : {1, 2, 4, 5, 6, 9, 16, 23, 4095, -1}) {
    EXPECT_EQ(status_of(code, false), Status::temporary) << code;
    EXPECT_EQ(status_of(code, true), Status::temporary) << code;
  }
  EXPECT_EQ(response_code_name(5), "REFUSED");
  EXPECT_EQ(response_code_name(23), "response code 23");
}

TEST(Answer, ReadsAHostsFile) {
  const Hosts hosts = parse_hosts(
      "127.0.0.1 localhost loop\n::1\tlocalhost # ::2 other\n#192.0.2.1 no\nx y\n\n"
      "192.0.2.7  Mail.Example.  mail \r\n192.0.2.7 mail\n192.0.2.8 mail");
  EXPECT_EQ(hosts.at("localhost"), (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_EQ(hosts.at("mail.example"), std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(hosts.at("mail"), (std::vector<std::string>{"192.0.2.7", "192.0.2.8"}));
  EXPECT_EQ(hosts.size(), 4u);
}

}  // namespace
}  // namespace mansio::dns
