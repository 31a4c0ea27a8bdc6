#include "delivery/eight_bit_downgrade.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace mansio::delivery {
namespace {

std::string convert(const std::string& message) {
  std::string why;
  const std::optional<std::string> converted = to_seven_bit(message, why);
  if (!converted) return "refused: " + why;
  for (const char c : *converted) EXPECT_GE(static_cast<signed char>(c), 0);
  return *converted;
}

TEST(EightBitDowngrade, LeavesSevenBitMessagesAlone) {
  const std::string message = "Subject: x\r\n\r\nhello =\r\n";
  EXPECT_EQ(convert(message), message);
}

TEST(EightBitDowngrade, EncodesATextPart) {
  EXPECT_EQ(convert("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n"
                    "\xc3\xbc = b \r\n\r\nend"),
            "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            "=C3=BC =3D b=20\r\n\r\nend");
}

TEST(EightBitDowngrade, AddsTheMimeVersionWhereItIsMissing) {
  EXPECT_EQ(convert("Subject: x\r\n\r\n\xe4\r\n"),
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
            "\r\n=E4\r\n");
}

TEST(EightBitDowngrade, BreaksLongLines) {
  const std::string out = convert("A: b\r\n\r\n" + std::string(500, '\xe4') + "\r\n");
  std::size_t start = 0;
  for (std::size_t end = out.find("\r\n"); end != std::string::npos;
       end = out.find("\r\n", start)) {
    EXPECT_LE(end - start, 76u);
    start = end + 2;
  }
}

TEST(EightBitDowngrade, EncodesOtherPartsInBase64) {
  EXPECT_EQ(convert("MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n\xff\xfe\xfd\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n//79DQo=\r\n");
}

TEST(EightBitDowngrade, ConvertsThePartsOfAMultipart) {
  EXPECT_EQ(convert("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\n"
                    "Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b1\r\n\r\nplain\r\n"
                    "--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                    "<p>\xe4</p>\r\n--b1--\r\nepilogue\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\n"
            "Content-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n--b1\r\n\r\nplain\r\n"
            "--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "<p>=E4</p>\r\n--b1--\r\nepilogue\r\n");
}

TEST(EightBitDowngrade, RefusesWhatItMustNotTouchOrDoesNotUnderstand) {
  const std::string multipart = "Content-Type: multipart/mixed; boundary=b1\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"DKIM-Signature: v=1\r\n\r\n\xe4\r\n", "signed"},
      {"Content-Type: multipart/signed; boundary=b1\r\n\r\n--b1\r\n\r\n\xe4\r\n--b1--\r\n",
       "signed"},
      {"Subject: \xe4\r\n\r\nx\r\n", "header"},
      {"no header at all \xe4\r\n", "malformed"},
      {"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xe4\r\n", "message"},
      {"Content-Transfer-Encoding: binary\r\n\r\n\xe4\r\n", "binary"},
      {"Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n", "base64"},
      {"Content-Type: multipart/mixed\r\n\r\n\xe4\r\n", "boundary"},
      {multipart + "\xe4\r\n--b1\r\n\r\nx\r\n--b1--\r\n", "outside"},
      {multipart + "--b1\r\n\r\nx\r\n--b1--\r\n\xe4\r\n", "outside"},
      {multipart + "--b1\r\n\r\n\xe4\r\n", "no end"},
      {multipart + "--b1\r\n\r\n\xe4\r\n--b12\r\n--b1--\r\n", "resembles"},
      {"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n\xe4\r\n", "twice"},
  };
  for (const auto& [message, why] : cases) {
    const std::string result = convert(message);
    EXPECT_TRUE(result.starts_with("refused: ")) << message << " gave " << result;
    EXPECT_NE(result.find(why), std::string::npos) << result;
  }
}

TEST(EightBitDowngrade, LimitsNesting) {
  std::string message;
  for (int i = 0; i < 100; ++i) {
    message += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "x\r\n\r\n--b" +
               std::to_string(i) + "x\r\n";
  }
  message += "\r\n\xe4\r\n";
  for (int i = 99; i >= 0; --i) message += "--b" + std::to_string(i) + "x--\r\n";
  EXPECT_NE(convert(message).find("nested"), std::string::npos);
}

TEST(EightBitDowngrade, NeverLetsAnEightBitOctetThrough) {
  const std::vector<std::string> tokens = {"\r\n",
                                           "--b\r\n",
                                           "--b--\r\n",
                                           "\xe4",
                                           "A: b\r\n",
                                           "Content-Type: text/plain\r\n",
                                           "Content-Type: multipart/mixed; boundary=b\r\n",
                                           "Content-Transfer-Encoding: 8bit\r\n",
                                           " x"};
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SeededRandom random(seed);
    std::string message;
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      message += tokens[random.below(tokens.size())];
    }
    convert(message);
  }
}

}  // namespace
}  // namespace mansio::delivery
