"""The families of models made for translation: what each reads for a text and two languages, and how its tokens become text."""
