"""Languages: which tags of BCP 47 each family of translation models has, and by which code the models know each."""
