// Prints the figures of yoastseo for articles, as JSON. scripts/checks/yoast.py runs it and gives the articles on standard input.
//
// yoastseo is under the GPL. It runs in this process alone, and nothing of it is part of Nightpress.

const fs = require("fs");
const { createRequire } = require("module");

const library = createRequire(`${process.argv[2]}/`);
const { Paper } = library("yoastseo");
const { build } = library("yoastseo/build/parse/build");
const LanguageProcessor = library("yoastseo/build/parse/language/LanguageProcessor").default;
const width = library("string-pixel-width");

function figures(article) {
  const researchers = library(`yoastseo/build/languageProcessing/languages/${article.language}/Researcher`);
  const options = {
    keyword: article.keyword,
    title: article.title,
    description: article.description,
    locale: { en: "en_US", de: "de_DE" }[article.language],
  };
  const paper = new Paper(article.html, options);
  const researcher = new (researchers.default ?? researchers)(paper);
  paper.setTree(build(paper, new LanguageProcessor(researcher), []));
  const found = (name) => researcher.getResearch(name);
  const sections = found("getSubheadingTextLengths").map((section) => section.countLength);
  return {
    "title pixels": Math.round(width(article.title, { font: "arial", size: 20 })),
    "description characters": found("metaDescriptionLength"),
    words: found("wordCountInText").count,
    "keyword count": found("getKeyphraseCount").count,
    "keyword density": Math.round(found("getKeyphraseDensity").density * 100) / 100,
    "keyword in title": found("findKeyphraseInSEOTitle").allWordsFound,
    "keyword in first paragraph": found("findKeywordInFirstParagraph").foundInOneSentence,
    "keyword in a heading": found("matchKeywordInSubheadings").matches > 0,
    "headings of the first level": found("h1s").length,
    "longest section": Math.max(0, ...sections),
  };
}

const articles = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(articles.map(figures)));
