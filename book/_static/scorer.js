// Search: a page with the words that are asked for comes before a function whose name has one of
// them. Of pages that fit as well as each other, those on one's own footage come first.
var Scorer = {
  score: ([page, title, anchor, text, score]) =>
    score + (page.startsWith("notebooks/own_") ? 0.5 : 0),
  objNameMatch: 11,
  objPartialMatch: 3,
  objPrio: { 0: 0, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
